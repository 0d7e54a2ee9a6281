"""Checks shapes, and infers them from nested lists.

The protocol's JSON takes a tensor's data flat or nested; it is sent flat, in row-major order, which every server reads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from isvcwatch.client.errors import InvalidTensor

if TYPE_CHECKING:
    from collections.abc import Sequence


_MOST_DIMENSIONS: Final = 64
"""The most dimensions, as in numpy 2 (NPY_MAXDIMS); lists that are nested deeper are not a tensor."""


def check_shape(shape: Any, tensor: str) -> list[int]:  # noqa: ANN401 - checked here
    """Check a shape, and return it as a list.

    Raises:
        InvalidTensor: it is not a sequence of whole numbers, 0 or more each.
    """
    if isinstance(shape, list | tuple) and all(is_count(dimension) for dimension in shape):
        return [int(dimension) for dimension in shape]
    raise InvalidTensor(f"tensor '{tensor}': shape should be a list of whole numbers, 0 or more each, not {shape!r:.80}")


def is_count(value: Any) -> bool:  # noqa: ANN401 - any type may come
    """Whether a value is a whole number, 0 or more."""
    # numpy's integers have `__index__` and its floats don't; bool, which is excluded here, has it too.
    return not isinstance(value, bool) and hasattr(value, "__index__") and int(value) >= 0


def count_of(shape: Sequence[int]) -> int:
    """How many elements a tensor of that shape has; 1 for the empty shape."""
    return math.prod(shape)


def as_lists(data: Any, depth: int = _MOST_DIMENSIONS) -> Any:  # noqa: ANN401 - JSON's values, arrays and arrays' scalars
    """The data with lists for the arrays in it and Python's values for their scalars, as `tolist` gives them.

    Args:
        data: a tensor's data.
        depth: the depth to which nested lists are converted; deeper ones are kept as they are.
    """
    if not isinstance(data, list | tuple):
        return data.tolist() if _has_tolist(type(data)) else data
    # Checks the few types instead of the many elements, so that a flat list of Python's values is kept after one pass.
    kinds = {type(item) for item in data}
    if depth > 0 and any(issubclass(kind, list | tuple) or _has_tolist(kind) for kind in kinds):
        return [as_lists(item, depth - 1) for item in data]
    return data


def _has_tolist(kind: type) -> bool:
    return hasattr(kind, "tolist") and not issubclass(kind, memoryview)  # a memoryview has `tolist` too, but is one element of BYTES


def flatten(data: Any, shape: Sequence[int], tensor: str) -> list[Any]:  # noqa: ANN401 - JSON's values
    """The elements in row-major order.

    Args:
        data: the data, flat or nested as the shape says; the lists may contain arrays and their scalars.
        shape: the tensor's shape.
        tensor: the tensor's name, for messages.

    Raises:
        InvalidTensor: the data is nested in another way, or has another number of elements.
    """
    data = as_lists(data, max(1, len(shape)))
    if not isinstance(data, list | tuple):
        data = [data]
    if not any(isinstance(item, list | tuple) for item in data):
        flat = list(data)
    else:
        _check_nesting(data, shape, tensor)
        flat = _leaves(data, len(shape))
    if len(flat) != count_of(shape):
        raise InvalidTensor(f"tensor '{tensor}': got {len(flat)} elements, and its shape {list(shape)} has {count_of(shape)}")
    return flat


def _check_nesting(data: Any, shape: Sequence[int], tensor: str) -> None:  # noqa: ANN401 - JSON's values
    level = [data]
    for dimension in shape:
        if not all(isinstance(item, list | tuple) and len(item) == dimension for item in level):
            raise InvalidTensor(f"tensor '{tensor}': its nested lists do not have the shape {list(shape)}")
        level = [item for items in level for item in items]
    if any(isinstance(item, list | tuple) for item in level):
        raise InvalidTensor(f"tensor '{tensor}': its lists are nested deeper than its shape {list(shape)}")


def _leaves(data: Any, depth: int) -> list[Any]:  # noqa: ANN401 - JSON's values
    level = [data]
    for _ in range(depth):
        level = [item for items in level for item in items]
    return level


def shape_of(data: Any, tensor: str) -> list[int]:  # noqa: ANN401 - JSON's values
    """The shape that nested lists have.

    Raises:
        InvalidTensor: the lists are ragged.
    """
    shape: list[int] = []
    first = data
    while isinstance(first, list | tuple):
        shape.append(len(first))
        first = first[0] if first else None
    _check_nesting(data, shape, tensor)
    return shape


def datatype_of(flat: Sequence[object], tensor: str) -> str:
    """The datatype that Python's values have: BOOL, INT64, FP64 or BYTES, as numpy and KServe infer it.

    Raises:
        InvalidTensor: a value has none of these types, or types other than ints and floats are mixed.
    """
    kinds = {type(value) for value in flat}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64" if all(-(2**63) <= value < 2**63 for value in flat if isinstance(value, int)) else "UINT64"
    if kinds and kinds <= {int, float}:
        return "FP64"
    if kinds and kinds <= {str, bytes}:
        return "BYTES"
    raise InvalidTensor(f"tensor '{tensor}': its datatype does not show in its data: write 'datatype'")
