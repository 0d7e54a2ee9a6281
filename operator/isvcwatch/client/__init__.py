"""An inference client for KServe, MLServer, Triton and TensorFlow Serving, on httpx; usable without Kubernetes.

    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        if await client.is_model_ready("http://localhost:8080", "iris"):
            request = InferRequest("iris", [InferInput("x", [1, 4], "FP32", [[5.1, 3.5, 1.4, 0.2]])])
            answer = await client.infer("http://localhost:8080", request, model_name="iris")

Its names, their signatures and their meanings are those of KServe's SDK.
"""

from __future__ import annotations

from httpx import USE_CLIENT_DEFAULT, HTTPStatusError, InvalidURL

from isvcwatch.client.config import PredictorProtocol, RESTConfig
from isvcwatch.client.errors import InferenceError, InvalidInput, InvalidTensor, UnsupportedProtocol
from isvcwatch.client.messages import InferRequest, InferResponse
from isvcwatch.client.rest import InferenceRESTClient
from isvcwatch.client.retries import RetryPolicy
from isvcwatch.client.tensors import InferInput, InferOutput, RequestedOutput

__all__ = [
    "USE_CLIENT_DEFAULT",
    "HTTPStatusError",
    "InferInput",
    "InferOutput",
    "InferRequest",
    "InferResponse",
    "InferenceError",
    "InferenceRESTClient",
    "InvalidInput",
    "InvalidTensor",
    "InvalidURL",
    "PredictorProtocol",
    "RESTConfig",
    "RequestedOutput",
    "RetryPolicy",
    "UnsupportedProtocol",
]
