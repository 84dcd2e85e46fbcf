"""Arrays read from a pickle without running anything that it asks for.

A pickle is a program: it names functions and has them called. Here every name it may use stands
for a method of :class:`_Builder`, which makes arrays and mappings from plain data; any other name
is refused before anything is called. Loading neither numpy's nor jax's own functions, it reads
trees of their arrays, as published with So3krates models, without either's help.
"""

from __future__ import annotations

import pickle  # noqa: TID251 - its reader, restricted below; nothing is written
import pickletools
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

# Far above those of published potentials: thousands of operations, five levels.
MOST_OPERATIONS = 1_000_000
DEEPEST = 50
_NUMPY = ("numpy.core", "numpy._core")
_JAX = ("jax._src.array", "jax.array")
# What a pickle may name, and the method of _Builder that it gets instead.
_ADMITTED = {
    ("numpy", "dtype"): "element_type",
    ("_codecs", "encode"): "encoded",
    ("__builtin__", "bytes"): "no_bytes",
    ("collections", "OrderedDict"): "mapping",
    ("flax.core.frozen_dict", "FrozenDict"): "mapping",
    **{(f"{module}.multiarray", "_reconstruct"): "empty_array" for module in _NUMPY},
    **{(f"{module}.multiarray", "scalar"): "scalar" for module in _NUMPY},
    **{(f"{module}.numeric", "_frombuffer"): "from_buffer" for module in _NUMPY},
    **{(module, "_reconstruct_array"): "jax_array" for module in _JAX},
}


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a pickled tree of mappings, by their keys joined with dots.

    Parameters
    ----------
    path : path
        A pickle of nested dicts with numpy or jax arrays.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        If the pickle names anything but arrays and dicts, holds something else, or is damaged.
        Nothing that it asks for has run.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            check_program(file)
            content = _Reader(file).load()
        except Refused as refusal:
            raise ValueError(f"{path} is refused: {refusal}") from None
        except Exception as error:  # a damaged pickle fails in many ways
            raise ValueError(f"{path} is not a pickle of arrays: {error}") from error
    try:
        return _collected(content)
    except Refused as refusal:
        raise ValueError(f"{path} is refused: {refusal}") from None


class Refused(Exception):
    """What a pickle holds or asks for is not admitted."""


def check_program(file: IO[bytes]) -> None:
    """Refuse a pickle whose size in memory is out of proportion to the file; nothing of it runs.

    The numbers under which it remembers what it made are places in a table: a large number takes
    a large table. Decimal integers take time that grows with the square of their length.
    """
    start = file.tell()
    size = file.seek(0, 2) - start
    file.seek(start)
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if count >= MOST_OPERATIONS:
            raise Refused(f"it has more than {MOST_OPERATIONS} operations")
        if "PUT" in operation.name and isinstance(argument, int) and argument > size:
            raise Refused(f"it remembers something as number {argument}, in {size} bytes")
        if isinstance(argument, int) and argument.bit_length() > 1024:
            raise Refused("it holds an integer of more than 1024 bits")
    file.seek(start)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return None  # only ever an argument
        if (module, name) not in _ADMITTED:
            raise Refused(
                f"it asks for {module}.{name}, and only arrays, dicts, lists and numbers are "
                "admitted; nothing of it was run"
            )
        return getattr(_Builder(), _ADMITTED[module, name])

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("it refers to objects outside of it")


class _ElementType:
    """A numeric type in the making."""

    def __init__(self, code: Any) -> None:
        self.type = np.dtype(str(code))
        if self.type.kind not in "biuf":
            raise Refused(f"it holds an array of type {code!r}, and only numbers are admitted")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.type = self.type.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """An array in the making."""

    values: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, element_type, fortran, raw = state
        self.values = _array(raw, element_type, shape, "F" if fortran else "C")


class _Builder:
    """What a pickle may call: it makes plain data of plain data."""

    def element_type(self, code: Any, align: Any = False, copy: Any = True) -> _ElementType:
        return _ElementType(code)

    def empty_array(self, subtype: Any, shape: Any, code: Any) -> _Array:
        return _Array()

    def from_buffer(self, raw: Any, element_type: Any, shape: Any, order: str) -> np.ndarray:
        return _array(raw, element_type, shape, order)

    def scalar(self, element_type: Any, raw: Any) -> np.ndarray:
        return _array(raw, element_type, (), "C")

    def jax_array(self, make: Callable[..., _Array], arguments: Any, state: Any, _: Any) -> _Array:
        array = make(*arguments)
        array.__setstate__(state)
        return array

    def encoded(self, text: str, encoding: str) -> bytes:
        return text.encode(encoding)

    def no_bytes(self) -> bytes:
        return b""

    def mapping(self, *items: Any) -> dict[Any, Any]:
        return dict(*items)


def _array(raw: Any, element_type: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(element_type, _ElementType):
        raise Refused("it holds an array without a type")
    flat = np.frombuffer(raw, dtype=element_type.type)
    return flat.reshape(shape, order="F" if order == "F" else "C").copy()


def _collected(content: Any) -> dict[str, np.ndarray]:
    """The arrays of a tree by their names, without recursion and not without end."""
    arrays: dict[str, np.ndarray] = {}
    waiting: list[tuple[str, int, Any]] = [("", 0, content)]
    for _ in range(MOST_OPERATIONS):
        if not waiting:
            return dict(sorted(arrays.items()))
        name, depth, value = waiting.pop()
        if depth > DEEPEST:
            raise Refused(f"it is nested more than {DEEPEST} levels deep, or holds itself")
        if isinstance(value, Mapping):
            prefix = f"{name}." if name else ""
            waiting += [(f"{prefix}{key}", depth + 1, entry) for key, entry in value.items()]
        else:
            arrays[name] = _numbers(name, value)
    raise Refused(f"it holds more than {MOST_OPERATIONS} entries")


def _numbers(name: str, value: Any) -> np.ndarray:
    """An array of an array in the making, a number or rows of numbers."""
    if isinstance(value, _Array):
        value = value.values
    if isinstance(value, np.ndarray | float | int | list | tuple):
        _check_rows(value)
        with suppress(ValueError):  # rows of different lengths
            values = np.asarray(value)
            if values.dtype.kind in "biuf":
                return values
    raise Refused(f"{name or 'its content'} is no array of numbers but {type(value).__name__}")


def _check_rows(value: Any) -> None:
    """Refuse lists that hold themselves, or the same ones over and over."""
    waiting = [(0, value)]
    for _ in range(MOST_OPERATIONS):
        if not waiting:
            return
        depth, entry = waiting.pop()
        if depth > DEEPEST:
            break
        if isinstance(entry, list | tuple):
            waiting += [(depth + 1, one) for one in entry]
    raise Refused("it holds lists without end")
