"""Runs the command line as `python -m isvcwatch`."""

from isvcwatch.cli import main

main()
