"""Picks the application to start; lies outside the application's directories and is never updated."""
