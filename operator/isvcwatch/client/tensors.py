"""Tensors of requests and answers, with the constructors and methods of KServe's SDK."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from isvcwatch.client.arrays import check_array, from_raw, from_values, is_array, to_bytes, to_raw
from isvcwatch.client.datatypes import (
    BF16,
    BYTES,
    FLOATS,
    as_text,
    check_bytes,
    check_numbers,
    check_whole,
    datatype_named,
    split_bytes,
    unpack_values,
)
from isvcwatch.client.errors import InvalidInput, InvalidTensor
from isvcwatch.client.shapes import as_lists, check_shape, count_of, flatten, is_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isvcwatch.client.arrays import Array

Parameters: TypeAlias = "dict[str, Any]"

_SIZE = "binary_data_size"

_REGION = "shared_memory_region"
_REGION_SIZE = "shared_memory_byte_size"
_SHARED_MEMORY = (_REGION, _REGION_SIZE, "shared_memory_offset")
"""Parameters of a tensor whose data is in memory that client and server share, and not in the message; the offset may be left out.

Source: Triton's docs/protocol/extension_shared_memory.md.
"""


class Tensor:
    """A named array: its shape, its datatype, and its data as a list (for JSON), an array, or raw bytes (for binary).

    Shapes are checked where data is used: when it is set from numpy, sent, or read as an array.
    """

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        datatype: str,
        data: Any = None,  # noqa: ANN401 - a list of JSON's values, nested or not, or an array
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Stores the parts; only the parameters are copied.

        Args:
            name: the tensor's name in the model.
            shape: its dimensions; `[]` for a scalar.
            datatype: a V2 datatype (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, FP32, FP64, BF16, BYTES), in any case.
            data: a list, flat in row-major order or nested as the shape says, a numpy array, or a list of arrays; None to set it
                later, or where the data is in shared memory.
            parameters: the protocol's parameters; `shared_memory_region` and `shared_memory_byte_size` say that the data is in
                memory which client and server share (Triton's extension).
        """
        self._name = name
        self._shape = shape
        self._datatype = datatype.upper()
        self._parameters: Parameters | None = None if parameters is None else dict(parameters)
        self._data = data
        self._raw_data: bytes | None = None

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self._name

    @property
    def datatype(self) -> str:
        """The datatype's name, in upper case."""
        return self._datatype

    @property
    def shape(self) -> Sequence[int]:
        """The dimensions."""
        return self._shape

    @shape.setter
    def shape(self, shape: Sequence[int]) -> None:
        self._shape = shape

    @property
    def parameters(self) -> Parameters | None:
        """The protocol's parameters; None where there are none."""
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: Mapping[str, Any] | None) -> None:
        self._parameters = None if parameters is None else dict(parameters)

    @property
    def data(self) -> Any:  # noqa: ANN401 - as given
        """The data as it was given; of a binary tensor a flat list, BYTES as text if all of it is UTF-8.

        None if the data is not set yet or is in shared memory. Data that is set replaces the reference to shared memory.
        """
        if self._data is None and self._raw_data is not None:
            self._data = self._unpacked(self._raw_data)
        return self._data

    @data.setter
    def data(self, data: Any) -> None:  # noqa: ANN401 - as given
        self._set(data, None)
        if data is not None:
            self._leave_shared_memory()

    def as_numpy(self) -> Array:
        """The data as an array of the tensor's shape.

        BF16 becomes float32. BYTES become an array of objects: bytes from a binary tensor, text from JSON. A JSON null in a tensor of
        floats becomes NaN.

        Raises:
            InvalidTensor: the data does not fit the datatype or the shape, there is none, or it is in shared memory.
            ImportError: numpy is not installed.
        """
        datatype = datatype_named(self._datatype, self._name)
        shape = check_shape(self._shape, self._name)
        if self._raw_data is not None:
            flat = from_raw(datatype, self._raw_data, self._name)
            self._check_count(len(flat), shape)
        elif is_array(self._data):
            return check_array(datatype, self._data, shape, self._name)
        else:
            flat = from_values(datatype, flatten(self._given(), shape, self._name), self._name)
        return flat.reshape(shape)

    def as_string(self) -> list[str]:
        """The elements of a BYTES tensor as text, flat in row-major order.

        Raises:
            InvalidInput: the datatype is another, or an element is not UTF-8.
        """
        if self._datatype != BYTES:
            raise InvalidInput(f"tensor '{self._name}': invalid datatype {self._datatype}: only BYTES can be read as text")
        return as_text(self._flat(), self._name)

    def set_data_from_numpy(self, input_tensor: Array, binary_data: bool = True) -> None:
        """Takes the data from an array, which must have the tensor's datatype and shape. The array is neither changed nor kept.

        Parameters that refer to shared memory are removed, since the array replaces it.

        Args:
            input_tensor: the array; float32 (or ml_dtypes' bfloat16) for BF16; objects, bytes or text for BYTES.
            binary_data: True to send raw bytes after the JSON, False to send JSON.

        Raises:
            InvalidTensor: datatype or shape differ, or BYTES that are not UTF-8 should go into JSON.
            ImportError: numpy is not installed.
        """
        datatype = datatype_named(self._datatype, self._name)
        array = check_array(datatype, input_tensor, check_shape(self._shape, self._name), self._name)
        if binary_data:
            raw = to_raw(datatype, array, self._name)
            self._set(None, raw)
            self._leave_shared_memory()
            self._parameters = {**(self._parameters or {}), _SIZE: len(raw)}
            return
        if datatype.name == BYTES:
            values: list[Any] = list(as_text(to_bytes(array, self._name), self._name))
        else:
            values = (
                from_raw(datatype, to_raw(datatype, array, self._name), self._name) if datatype.name == BF16 else array.ravel()
            ).tolist()
        self._set(values, None)
        self._leave_shared_memory()
        if self._parameters:
            self._parameters = without_size(self._parameters)

    def to_dict(self) -> dict[str, Any]:
        """The parts as a dict, arrays as lists."""
        data = as_lists(self.data)
        shape = list(self._shape)
        return {"name": self.name, "shape": shape, "datatype": self.datatype, "data": data, "parameters": self.parameters}

    def to_wire(self, binary: bool | None = None) -> tuple[dict[str, Any], bytes | None]:
        """The tensor in the protocol's format: its part of the JSON, and its raw bytes if it is sent in binary.

        Args:
            binary: whether to send raw bytes; None for the format in which the data was set.

        Raises:
            InvalidTensor: there is no data, it does not fit the shape, JSON can't hold it, or it is given and said to be in shared
                memory.
        """
        shape = check_shape(self._shape, self._name)
        head: dict[str, Any] = {"name": self._name, "shape": shape, "datatype": self._datatype}
        parameters = without_size(self._parameters or {})
        if _REGION in parameters or _REGION_SIZE in parameters:
            self._check_shared_memory(parameters)
            return {**head, "parameters": parameters}, None
        raw = self._raw_for(binary, shape)
        if raw is not None:
            head["parameters"] = {**parameters, _SIZE: len(raw)}
            return head, raw
        if parameters:
            head["parameters"] = parameters
        head["data"] = self._checked_for_json(self._flat())
        return head, None

    def __eq__(self, other: object) -> bool:
        """Whether names, shapes, datatypes, parameters and elements are the same."""
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment] # mutable

    def __repr__(self) -> str:
        """Name, shape and datatype, without the data, which may be big and private."""
        return f"{type(self).__name__}(name={self._name!r}, shape={list(self._shape)}, datatype={self._datatype!r})"

    def set_raw(self, raw: bytes) -> None:
        """Takes raw bytes as the data."""
        self._set(None, bytes(raw))

    def _set(self, data: Any, raw: bytes | None) -> None:  # noqa: ANN401 - as given
        self._data = data
        self._raw_data = raw

    def _leave_shared_memory(self) -> None:
        if self._parameters:
            self._parameters = {key: value for key, value in self._parameters.items() if key not in _SHARED_MEMORY}

    def _check_shared_memory(self, parameters: Parameters) -> None:
        region, size = parameters.get(_REGION), parameters.get(_REGION_SIZE)
        if region_of(parameters) is None:
            raise InvalidTensor(f"tensor '{self._name}': {_REGION} should be a region's name, not {region!r:.80}")
        if not is_count(size):
            raise InvalidTensor(f"tensor '{self._name}': {_REGION_SIZE} should be a number of bytes, not {size!r:.80}")
        if self._data is not None or self._raw_data is not None:
            raise InvalidTensor(
                f"tensor '{self._name}' has data, and its parameters say that the data is in the shared memory region '{region}': "
                "leave out one of the two"
            )

    def _given(self) -> Any:  # noqa: ANN401 - as given
        if self._data is None and (region := region_of(self._parameters)) is not None:
            raise InvalidTensor(f"tensor '{self._name}': its data is in the shared memory region '{region}': read it there")
        if self._data is None:
            raise InvalidTensor(f"'data' field is missing for tensor '{self._name}'")
        return self._data

    def _unpacked(self, raw: bytes) -> list[Any]:
        values = unpack_values(datatype_named(self._datatype, self._name), raw, self._name)
        self._check_count(len(values), check_shape(self._shape, self._name))
        if self._datatype != BYTES:
            return values
        try:
            return list(as_text(values, self._name))
        except InvalidTensor:
            return values

    def _flat(self) -> list[Any]:
        shape = check_shape(self._shape, self._name)
        if self._raw_data is not None:
            values = unpack_values(datatype_named(self._datatype, self._name), self._raw_data, self._name)
            self._check_count(len(values), shape)
            return values
        if is_array(self._given()):
            array = check_array(datatype_named(self._datatype, self._name), self._data, shape, self._name)
            return list(to_bytes(array, self._name)) if self._datatype == BYTES else array.ravel().tolist()
        return flatten(self._data, shape, self._name)

    def _key(self) -> tuple[Any, ...]:
        """The parts that make two tensors equal; elements of BYTES are compared as bytes, however they were given."""
        elements = None if self._data is None and self._raw_data is None else self._flat()
        if elements is not None and self._datatype == BYTES:
            elements = [element.encode() if isinstance(element, str) else element for element in elements]
        return self._name, list(self._shape), self._datatype, without_size(self._parameters or {}), elements

    def _raw_for(self, binary: bool | None, shape: list[int]) -> bytes | None:
        if binary is False or (binary is None and self._raw_data is None):
            return None
        datatype = datatype_named(self._datatype, self._name)
        if self._raw_data is None:
            if datatype.name != BYTES and not is_array(self._data):
                check_numbers(datatype, self._flat(), self._name)
            return to_raw(datatype, self.as_numpy(), self._name)
        if datatype.name == BYTES:
            self._check_count(len(split_bytes(self._raw_data, self._name)), shape)
        else:
            check_whole(datatype, self._raw_data, self._name)
            self._check_count(len(self._raw_data) // datatype.size, shape)
        return self._raw_data

    def _check_count(self, found: int, shape: list[int]) -> None:
        if found != count_of(shape):
            raise InvalidTensor(f"tensor '{self._name}': got {found} elements, and its shape {shape} has {count_of(shape)}")

    def _checked_for_json(self, values: list[Any]) -> list[Any]:
        datatype = datatype_named(self._datatype, self._name)
        if datatype.name == BYTES:
            check_bytes(values, self._name)
            return list(as_text(values, self._name))
        if self._raw_data is None and not is_array(self._data):
            check_numbers(datatype, values, self._name)
        if datatype.name in FLOATS and any(isinstance(value, float) and not math.isfinite(value) for value in values):
            raise InvalidTensor(
                f"tensor '{self._name}': JSON has no NaN and no infinity: send it with set_data_from_numpy(array, binary_data=True)"
            )
        return values


class InferInput(Tensor):
    """An input of a request."""


class InferOutput(Tensor):
    """An output of an answer."""


class RequestedOutput:
    """An output that a request asks for."""

    def __init__(self, name: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Stores the name and the parameters.

        Args:
            name: the output's name in the model.
            parameters: the protocol's parameters; `{"binary_data": True}` asks for raw bytes, `shared_memory_region` with
                `shared_memory_byte_size` has the server write into memory that it shares with the client (Triton's extension).
        """
        self._name = name
        self._parameters: Parameters | None = None if parameters is None else dict(parameters)

    @property
    def name(self) -> str:
        """The output's name."""
        return self._name

    @property
    def parameters(self) -> Parameters | None:
        """The protocol's parameters; None where there are none."""
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: Mapping[str, Any] | None) -> None:
        self._parameters = None if parameters is None else dict(parameters)

    @property
    def binary_data(self) -> bool | None:
        """Whether raw bytes are asked for; None if the parameters don't say."""
        said = (self._parameters or {}).get("binary_data")
        return None if said is None else bool(said)

    def to_wire(self) -> dict[str, Any]:
        """The output in the protocol's JSON format."""
        return {"name": self._name} | ({"parameters": self._parameters} if self._parameters else {})

    def __eq__(self, other: object) -> bool:
        """Whether name and parameters are the same."""
        if not isinstance(other, RequestedOutput):
            return NotImplemented
        return (self.name, self.parameters) == (other.name, other.parameters)

    __hash__ = None  # type: ignore[assignment] # mutable

    def __repr__(self) -> str:
        """Name and parameters."""
        return f"RequestedOutput(name={self._name!r}, parameters={self._parameters!r})"


def region_of(parameters: Mapping[str, Any] | None) -> str | None:
    """The name of the shared memory region that has the data; None if the parameters name none."""
    region = (parameters or {}).get(_REGION)
    return region if isinstance(region, str) and region else None


def shared_memory_of(parameters: Mapping[str, Any] | None) -> Parameters:
    """The parameters that tell where in shared memory the data is, without the others."""
    return {key: value for key, value in (parameters or {}).items() if key in _SHARED_MEMORY}


def without_size(parameters: Parameters) -> Parameters:
    """The parameters without that of a binary tensor's size."""
    return {key: value for key, value in parameters.items() if key != _SIZE}
