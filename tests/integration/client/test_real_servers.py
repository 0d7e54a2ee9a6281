"""The client against real model servers: KServe 0.21, MLServer 1.7 and Triton, in V1 and V2, JSON and binary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from isvcwatch.client import HTTPStatusError, InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rig.model_server import ModelServer

pytestmark = pytest.mark.real

MODEL = "iris"
ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "BOOL": np.array([True, False, True, True]),
    "UINT8": np.array([0, 1, 2, 255], np.uint8),
    "UINT16": np.array([0, 1, 2, 65535], np.uint16),
    "UINT32": np.array([0, 1, 2, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 1, 2, 2**63], np.uint64),
    "INT8": np.array([-128, 0, 1, 127], np.int8),
    "INT16": np.array([-(2**15), 0, 1, 2**15 - 1], np.int16),
    "INT32": np.array([-(2**31), 0, 1, 2**31 - 1], np.int32),
    "INT64": np.array([-(2**53), 0, 1, 2**53], np.int64),
    "FP16": np.array([-1.5, 0, 0.25, 65504], np.float16),
    "FP32": np.array([-1.5, 0, 0.1, 3e38], np.float32),
    "FP64": np.array([-1.5, 0, 0.1, 1e300]),
    "BF16": np.array([-1.5, 0, 0.25, 1.0], np.float32),
    "BYTES": np.array([b"a", b"", "ü".encode(), b"longer text"], dtype=object),
}
NOT_IN_JSON = {
    "kserve_server": {"FP16", "BF16"},  # "Receiving FP16 data via JSON is not supported"; BF16 is unknown to it
    "mlserver_server": {"BF16"},  # unknown to it
    "triton_server": {"FP16", "BF16"},  # its JSON has no 16 bit floats
}
NOT_IN_BINARY = {
    "kserve_server": {"BF16"},
    "mlserver_server": set(ARRAYS),  # it takes JSON tensors only
    "triton_server": set[str](),
}
SENT = [
    (server, datatype, binary)
    for server in NOT_IN_JSON
    for binary, lacking in ((False, NOT_IN_JSON), (True, NOT_IN_BINARY))
    for datatype in ARRAYS
    if datatype not in lacking[server]
]


@dataclass(frozen=True)
class Unready:
    """How a server answers about a model that is not ready; `v1` where it speaks V1."""

    fixture: str
    v1: bool


SERVERS = [Unready("kserve_server", v1=True), Unready("mlserver_server", v1=False), Unready("triton_server", v1=False)]
SPOKEN = [(it.fixture, protocol) for it in SERVERS for protocol in (("v1", "v2") if it.v1 else ("v2",))]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    """The server that a test names, well before and after."""
    model_server: ModelServer = request.getfixturevalue(request.param)
    model_server.make_ready()
    yield model_server
    model_server.make_ready()


@pytest.fixture
async def v1() -> AsyncIterator[InferenceRESTClient]:
    async with InferenceRESTClient(RESTConfig(protocol="v1", timeout=20)) as client:
        yield client


@pytest.fixture
async def v2() -> AsyncIterator[InferenceRESTClient]:
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=20)) as client:
        yield client


def client_of(protocol: str, v1: InferenceRESTClient, v2: InferenceRESTClient) -> InferenceRESTClient:
    return v1 if protocol == "v1" else v2


each_server = pytest.mark.parametrize("server", [it.fixture for it in SERVERS], indirect=True)
each_protocol = pytest.mark.parametrize(("server", "protocol"), SPOKEN, indirect=["server"])
kserve = pytest.mark.parametrize("server", ["kserve_server"], indirect=True)
without_v1 = pytest.mark.parametrize("server", ["mlserver_server", "triton_server"], indirect=True)


@each_protocol
async def test_a_live_server_says_so(server: ModelServer, protocol: str, v1: InferenceRESTClient, v2: InferenceRESTClient) -> None:
    assert await client_of(protocol, v1, v2).is_server_live(server.base_url) is True


@each_server
async def test_a_ready_server_says_so(server: ModelServer, v2: InferenceRESTClient) -> None:
    assert await v2.is_server_ready(server.base_url + "//?x=1") is True


@each_protocol
async def test_a_model_is_ready_then_not_and_ready_again(
    server: ModelServer, protocol: str, v1: InferenceRESTClient, v2: InferenceRESTClient
) -> None:
    client = client_of(protocol, v1, v2)
    assert await client.is_model_ready(server.base_url, MODEL) is True
    server.make_unready()
    assert await client.is_model_ready(server.base_url, MODEL) is False
    server.make_ready()
    assert await client.is_model_ready(server.base_url, MODEL) is True


NAMES = ["unknown", "..", ".", "a b", "a?b=c", "a#b", "50%", "größe", "%2e%2e"]
WITH_SLASHES = ["a/b", "echo/../echo"]


@each_protocol
@pytest.mark.parametrize("name", NAMES)
async def test_a_model_of_an_unknown_or_odd_name_is_not_ready(
    server: ModelServer, protocol: str, name: str, v1: InferenceRESTClient, v2: InferenceRESTClient
) -> None:
    assert await client_of(protocol, v1, v2).is_model_ready(server.base_url, name) is False


@each_protocol
@pytest.mark.parametrize("name", WITH_SLASHES)
async def test_a_name_that_a_servers_router_takes_for_a_path_is_never_ready(
    server: ModelServer, protocol: str, name: str, v1: InferenceRESTClient, v2: InferenceRESTClient
) -> None:
    """FastAPI's routers decode the slash and know no such route, which is no word about a model; Triton's own does."""
    try:
        assert await client_of(protocol, v1, v2).is_model_ready(server.base_url, name) is False
    except HTTPStatusError as error:
        assert error.response.status_code == 404  # noqa: PT017 -- either is right


@without_v1
async def test_a_server_without_v1_is_no_answer_in_v1(server: ModelServer, v1: InferenceRESTClient) -> None:
    with pytest.raises(HTTPStatusError, match="404"):
        await v1.is_server_live(server.base_url)


@pytest.mark.parametrize(("server", "datatype", "binary"), SENT, indirect=["server"])
@pytest.mark.parametrize("shape", [(4,), (2, 2)], ids=["4", "2x2"])
async def test_every_datatype_that_a_server_takes_comes_back_as_it_went(
    server: ModelServer, datatype: str, binary: bool, shape: tuple[int, ...], v2: InferenceRESTClient
) -> None:
    array = ARRAYS[datatype].reshape(shape)
    tensor = InferInput(datatype if len(shape) == 1 else f"{datatype}-2d", list(shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    request = InferRequest(MODEL, [tensor], "a-1", parameters={"binary_data_output": True} if binary else None)
    headers: dict[str, str] = {}
    response = await v2.infer(server.base_url, request, MODEL, response_headers=headers)
    assert isinstance(response, InferResponse)
    assert (response.model_name, response.id) == (MODEL, "a-1")
    output = response.get_output_by_name(tensor.name)
    assert output is not None
    assert ("inference-header-content-length" in headers) is binary
    assert (output.datatype, list(output.shape)) == (datatype, list(shape))
    if datatype == "BYTES":
        assert output.as_string() == [item.decode() for item in array.ravel()]
    else:
        np.testing.assert_array_equal(output.as_numpy(), array)


@each_server
async def test_a_dict_of_nested_lists_is_an_inference(server: ModelServer, v2: InferenceRESTClient) -> None:
    response = await v2.infer(server.base_url, {"FP64-2d": [[1.5, 2.5], [3.5, 4.5]]}, MODEL)
    assert isinstance(response, InferResponse)
    output = response.get_output_by_name("FP64-2d")
    assert output is not None
    assert output.as_numpy().tolist() == [[1.5, 2.5], [3.5, 4.5]]


@kserve
async def test_v1_predicts_and_explains(server: ModelServer, v1: InferenceRESTClient) -> None:
    headers: dict[str, str] = {}
    data = {"instances": [[1, 2.5], ["a", None]]}
    assert await v1.infer(server.base_url, data, MODEL, response_headers=headers) == {"predictions": data["instances"]}
    assert headers["content-type"].startswith("application/json")
    assert await v1.explain(server.base_url + "/", MODEL, data) == {"explanations": data["instances"]}


@kserve
async def test_a_graphs_url_is_used_as_it_is(server: ModelServer, v2: InferenceRESTClient) -> None:
    url = httpx.URL(f"{server.base_url}/v1/models/{MODEL}:predict")
    assert await v2.infer(url, {"instances": [1]}, is_graph_endpoint=True) == {"predictions": [1]}


@each_protocol
async def test_an_inference_of_an_unknown_model_fails_in_the_servers_own_words(
    server: ModelServer, protocol: str, v1: InferenceRESTClient, v2: InferenceRESTClient
) -> None:
    data = {"instances": [1]} if protocol == "v1" else {"x": [1]}
    with pytest.raises(HTTPStatusError, match=r"(?i)no-such-model") as raised:
        await client_of(protocol, v1, v2).infer(server.base_url, data, "no-such-model")
    words = str(raised.value).partition(", '4")[0]
    assert "no-such-model" in words
    assert raised.value.response.is_client_error


@each_server
async def test_an_inference_that_the_server_refuses_fails_in_its_own_words(server: ModelServer, v2: InferenceRESTClient) -> None:
    with pytest.raises(HTTPStatusError) as raised:
        await v2.infer(server.base_url, b'{"inputs": [{"name": "FP32"}]}', MODEL)
    assert len(str(raised.value).partition(f", '{raised.value.response.status_code}")[0]) > 10
