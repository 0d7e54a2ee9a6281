"""The pure core: what to probe, what results mean over time, and what to say about it. It has no I/O, no clock and no randomness."""
