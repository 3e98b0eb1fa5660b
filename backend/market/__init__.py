"""Rules of the market: pure functions, no I/O, no clock, the same result for the same input to the last tie."""
