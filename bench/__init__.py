"""Measurements: ours and others' ways of asking, side by side in one run. `python -m bench`."""
