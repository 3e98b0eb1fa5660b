"""Campaigns: many market days in a row on published data, with simulated customers, and what they were worth."""
