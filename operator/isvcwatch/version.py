"""The version of isvcwatch."""

__version__ = "0.1.0"
