"""`python -m isvcwatch`."""

from isvcwatch.cli import main

main()
