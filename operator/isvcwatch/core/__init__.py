"""The pure core: what to probe, what results mean over time, and what to say about it. No I/O, no clock, no chance."""
