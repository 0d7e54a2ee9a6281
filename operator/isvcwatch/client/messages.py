"""Requests and answers of the Open Inference Protocol (V2), with the constructors and methods of KServe's SDK."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from isvcwatch.client.errors import InvalidInput
from isvcwatch.client.framing import frame, tensors_from, unframe
from isvcwatch.client.tensors import InferInput, InferOutput, RequestedOutput, Tensor, region_of, shared_memory_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isvcwatch.client.tensors import Parameters


class InferRequest:
    """A request: inputs for a model, and which outputs are wanted how.

    Attributes:
        id: the request's id; None to have one made when it is sent.
        model_name: the model's name.
        model_version: the model's version; None for the one that the server chooses.
        inputs: the inputs.
        parameters: the protocol's parameters; `{"binary_data_output": True}` asks for all outputs as raw bytes.
        request_outputs: the outputs that are wanted; None for all.
        from_grpc: stored as given; it has no effect here.
    """

    def __init__(
        self,
        model_name: str,
        infer_inputs: list[InferInput],
        request_id: str | None = None,
        raw_inputs: Sequence[bytes] | None = None,
        from_grpc: bool | None = False,
        parameters: Mapping[str, Any] | None = None,
        request_outputs: list[RequestedOutput] | None = None,
        model_version: str | None = None,
    ) -> None:
        """Stores the parts.

        Args:
            model_name: the model's name.
            infer_inputs: the inputs.
            request_id: the request's id.
            raw_inputs: raw bytes for the inputs, in their order.
            from_grpc: stored as given.
            parameters: the protocol's parameters.
            request_outputs: the outputs that are wanted.
            model_version: the model's version.

        Raises:
            InvalidInput: there are more raw bytes than inputs.
        """
        self.id = request_id
        self.model_name = model_name
        self.model_version = model_version
        self.inputs = infer_inputs
        self.parameters: Parameters | None = None if parameters is None else dict(parameters)
        self.request_outputs = request_outputs
        self.from_grpc = bool(from_grpc)
        _set_raws(infer_inputs, raw_inputs)

    @property
    def use_binary_outputs(self) -> bool:
        """Whether the parameters ask for all outputs as raw bytes."""
        return bool((self.parameters or {}).get("binary_data_output", False))

    @classmethod
    def from_bytes(cls, req_bytes: bytes, json_length: int, model_name: str) -> InferRequest:
        """Reads a request's body.

        Args:
            req_bytes: the whole body.
            json_length: how many bytes of it are JSON.
            model_name: the model's name, which is in the URL and not in the body.

        Raises:
            InvalidInput: the body is no request.
        """
        head, rest = unframe(req_bytes, json_length, "the request")
        return cls(
            model_name=model_name,
            infer_inputs=tensors_from(head, "inputs", rest, InferInput),
            request_id=head.get("id"),
            parameters=_parameters_of(head),
            request_outputs=_requested_outputs(head.get("outputs")),
        )

    def to_rest(self) -> tuple[dict[str, Any] | bytes, int | None]:
        """The body: a dict and None if all of it is JSON, else bytes and the length of their JSON.

        Raises:
            InvalidTensor: an input has no data, or data that does not fit.
        """
        head: dict[str, Any] = {"id": self.id or str(uuid.uuid4()), "model_name": self.model_name}
        if self.request_outputs:
            head["outputs"] = [output.to_wire() for output in self.request_outputs]
        if self.parameters:
            head["parameters"] = self.parameters
        return frame(head, "inputs", (tensor.to_wire() for tensor in self.inputs))

    def get_input_by_name(self, name: str) -> InferInput | None:
        """The input of that name; None where there is none."""
        return next((tensor for tensor in self.inputs if tensor.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """The parts as a dict."""
        return {
            "id": self.id,
            "model_name": self.model_name,
            "inputs": [tensor.to_dict() for tensor in self.inputs],
            "parameters": self.parameters,
            "from_grpc": self.from_grpc,
        }

    def __eq__(self, other: object) -> bool:
        """Whether all parts are the same."""
        if not isinstance(other, InferRequest):
            return NotImplemented
        mine, its = ((it.id, it.model_name, it.model_version, it.parameters, it.inputs, it.request_outputs) for it in (self, other))
        return mine == its

    __hash__ = None  # type: ignore[assignment] # mutable

    def __repr__(self) -> str:
        """The names and shapes, without the data."""
        return f"InferRequest(model_name={self.model_name!r}, id={self.id!r}, inputs={self.inputs!r})"


class InferResponse:
    """An answer: a model's outputs.

    Attributes:
        id: the request's id; None where the server gave none.
        model_name: the model's name; None where the server gave none.
        model_version: the model's version; None where the server gave none.
        outputs: the outputs.
        parameters: the protocol's parameters.
        from_grpc: stored as given; it has no effect here.
    """

    def __init__(
        self,
        response_id: str | None,
        model_name: str | None,
        infer_outputs: list[InferOutput],
        model_version: str | None = None,
        raw_outputs: Sequence[bytes] | None = None,
        from_grpc: bool | None = False,
        parameters: Mapping[str, Any] | None = None,
        use_binary_outputs: bool | None = False,
        requested_outputs: list[RequestedOutput] | None = None,
    ) -> None:
        """Stores the parts.

        Args:
            response_id: the request's id.
            model_name: the model's name.
            infer_outputs: the outputs.
            model_version: the model's version.
            raw_outputs: raw bytes for the outputs, in their order.
            from_grpc: stored as given.
            parameters: the protocol's parameters.
            use_binary_outputs: whether `to_rest` sends raw bytes.
            requested_outputs: the outputs that `to_rest` sends, each as it asks; None for all.

        Raises:
            InvalidInput: there are more raw bytes than outputs.
        """
        self.id = response_id
        self.model_name = model_name
        self.model_version = model_version
        self.outputs = infer_outputs
        self.parameters: Parameters | None = None if parameters is None else dict(parameters)
        self.from_grpc = bool(from_grpc)
        self._use_binary_outputs = bool(use_binary_outputs)
        self._requested_outputs = requested_outputs
        _set_raws(infer_outputs, raw_outputs)

    @classmethod
    def from_rest(cls, response: Mapping[str, Any]) -> InferResponse:
        """Makes an answer from its JSON.

        Raises:
            InvalidInput: it is no answer of the protocol.
        """
        return cls._of(dict(response), b"")

    @classmethod
    def from_bytes(cls, res_bytes: bytes, json_length: int, requested_outputs: Sequence[RequestedOutput] | None = None) -> InferResponse:
        """Reads an answer's body.

        Args:
            res_bytes: the whole body.
            json_length: how many bytes of it are JSON.
            requested_outputs: what the request asked for: outputs that it asked for in shared memory may come without data, and
                have the request's shared memory parameters then.

        Raises:
            InvalidInput: it is no answer of the protocol, or its raw bytes do not fit.
        """
        return cls._of(*unframe(res_bytes, json_length, "the answer"), requested_outputs)

    @classmethod
    def _of(cls, head: dict[str, Any], rest: bytes, asked: Sequence[RequestedOutput] | None = None) -> InferResponse:
        shared = {output.name: shared_memory_of(output.parameters) for output in asked or () if region_of(output.parameters)}
        return cls(
            response_id=head.get("id"),
            model_name=head.get("model_name"),
            infer_outputs=tensors_from(head, "outputs", rest, InferOutput, shared),
            model_version=head.get("model_version"),
            parameters=_parameters_of(head),
        )

    def to_rest(self) -> tuple[dict[str, Any] | bytes, int | None]:
        """The body: a dict and None if all of it is JSON, else bytes and the length of their JSON.

        Raises:
            InvalidInput: a requested output does not exist, or has no data that fits.
        """
        head: dict[str, Any] = {"id": self.id, "model_name": self.model_name, "model_version": self.model_version}
        if self.parameters:
            head["parameters"] = self.parameters
        return frame(head, "outputs", [tensor.to_wire(binary) for tensor, binary in self._wanted()])

    def _wanted(self) -> list[tuple[InferOutput, bool]]:
        if not self._requested_outputs:
            return [(output, self._use_binary_outputs) for output in self.outputs]
        wanted = []
        for requested in self._requested_outputs:
            output = self.get_output_by_name(requested.name)
            if output is None:
                raise InvalidInput(f"Unexpected inference output '{requested.name}' for model '{self.model_name}'")
            asked = requested.binary_data
            wanted.append((output, self._use_binary_outputs if asked is None else asked))
        return wanted

    def get_output_by_name(self, name: str) -> InferOutput | None:
        """The output of that name; None where there is none."""
        return next((output for output in self.outputs if output.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """The parts as a dict."""
        return {
            "id": self.id,
            "model_name": self.model_name,
            "outputs": [output.to_dict() for output in self.outputs],
            "parameters": self.parameters,
            "from_grpc": self.from_grpc,
        }

    def __eq__(self, other: object) -> bool:
        """Whether all parts are the same."""
        if not isinstance(other, InferResponse):
            return NotImplemented
        mine, its = ((it.id, it.model_name, it.model_version, it.parameters, it.outputs) for it in (self, other))
        return mine == its

    __hash__ = None  # type: ignore[assignment] # mutable

    def __repr__(self) -> str:
        """The names and shapes, without the data."""
        return f"InferResponse(model_name={self.model_name!r}, id={self.id!r}, outputs={self.outputs!r})"


def outputs_in_shared_memory(body: bytes, json_length: int) -> list[RequestedOutput]:
    """The outputs that a request's body asks for in shared memory; none if the body is not a valid request, which the server reports.

    Args:
        body: the whole body.
        json_length: how many bytes of it are JSON.
    """
    if b"shared_memory_region" not in body[:json_length]:  # avoids parsing all other requests
        return []
    try:
        head, _ = unframe(body, json_length, "the request")
        asked = _requested_outputs(head.get("outputs"))
    except InvalidInput:
        return []
    return [output for output in asked or () if region_of(output.parameters)]


def _parameters_of(head: dict[str, Any]) -> Parameters | None:
    parameters = head.get("parameters")
    return parameters if isinstance(parameters, dict) else None


def _requested_outputs(outputs: object) -> list[RequestedOutput] | None:
    if outputs is None:
        return None
    if not isinstance(outputs, list) or not all(isinstance(out, dict) and isinstance(out.get("name"), str) for out in outputs):
        raise InvalidInput("the request's 'outputs' is no list of named outputs")
    return [RequestedOutput(out["name"], _parameters_of(out)) for out in outputs]


def _set_raws(tensors: Sequence[Tensor], raws: Sequence[bytes] | None) -> None:
    if raws is not None and len(raws) > len(tensors):
        raise InvalidInput(f"there are {len(raws)} raw tensors, and {len(tensors)} tensors to have them")
    for tensor, raw in zip(tensors, raws or (), strict=False):
        tensor.set_raw(raw)
