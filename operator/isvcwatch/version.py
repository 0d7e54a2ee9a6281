"""The version of isvcwatch, and how it names itself to servers."""

from typing import Final

__version__ = "0.1.0"

USER_AGENT: Final = f"isvcwatch/{__version__}"
"""The value of the User-Agent header. What stands before the slash is also what the API server takes as the manager of the fields that are
written, so that it stays the same in all versions."""
