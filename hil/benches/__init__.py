"""Benchmarks by area: what is measured beside what it is to be measured with, in one run, as ratios."""
