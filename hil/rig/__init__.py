"""Runs of the rig: the standard scenarios on every target, soaks, and their reports."""
