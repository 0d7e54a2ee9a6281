"""The main job in two minutes, on real parts: `make demo`."""
