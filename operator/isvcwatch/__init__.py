"""isvcwatch: Ready=True, proven.

The inference client is usable on its own: `from isvcwatch import InferenceRESTClient, RESTConfig`.
"""

from isvcwatch.client import InferenceRESTClient, RESTConfig
from isvcwatch.version import __version__

__all__ = ["InferenceRESTClient", "RESTConfig", "__version__"]
