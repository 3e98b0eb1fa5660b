"""Emulated meters: what real ones say on a line, what they offered, and the faults of real ones. See hil/README.md."""
