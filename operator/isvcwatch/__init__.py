"""isvcwatch: Ready=True, proven."""
