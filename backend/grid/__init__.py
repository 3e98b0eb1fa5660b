"""Rules of the grid: state in, violations, needs and verdicts out. Integers at every border, no input or output."""
