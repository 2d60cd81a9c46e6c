"""The core: decisions as pure functions. No clock, no I/O, no randomness."""
