"""Modules saved whole by ``torch.save``, read without running or importing anything.

Such an archive is a zip file: a pickle that names the classes of all modules, and one entry for the
numbers of each storage. A pickle is a program; here the classes it names become empty shells that
hold what the pickle gives them, and the few functions it may call make arrays of the entries.
Neither torch nor the code that the archive comes from takes part, and any other name is refused.
"""

from __future__ import annotations

import math
import pickle  # noqa: TID251 - its reader, restricted below; nothing is written
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import numpy as np

from ase_geomformer.convert.restricted_pickle import Refused, check_program

# Types of storages by the names that torch gives them.
_STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "BoolStorage": "?",
}
# What a pickle may call, and the method of _Archive that it gets instead.
_FUNCTIONS = {
    ("collections", "OrderedDict"): "mapping",
    ("__builtin__", "set"): "items",
    ("builtins", "set"): "items",
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
}
# Far above those of published potentials: a module that holds itself would have no end.
_MOST_MODULES = 100_000
_PICKLE = "data.pkl"


@dataclass(frozen=True)
class SavedModule:
    """What an archive says about a module.

    Attributes
    ----------
    kind
        Full name of the class, ``so3krates_torch.modules.models.SO3LR``.
    values
        Attributes that are numbers, strings, truth values, None or lists of them.
    tensors
        Parameters and buffers by the names of the state dict.
    """

    kind: str
    values: dict[str, Any]
    tensors: dict[str, np.ndarray]


def is_torch_archive(file: IO[bytes]) -> bool:
    """Whether a file is a zip file with the entries that ``torch.save`` writes."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.split("/")[1:] == [_PICKLE] for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def read_module(content: bytes, name: str, packages: tuple[str, ...]) -> SavedModule:
    """The module in an archive.

    Parameters
    ----------
    content : bytes
        The archive.
    name : str
        What it is called in errors.
    packages : tuple of str
        The packages whose classes it may name, such as ``("torch.nn.modules", "so3krates_torch")``.
        None of them is imported.

    Raises
    ------
    ValueError
        If the archive is damaged, names anything else, or tensors reach beyond their storages.
        Nothing that it asks for has run.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            reader = _Archive(archive, len(content), packages)
            module = reader.load()
            return _saved(module)
    except Refused as refusal:
        raise ValueError(f"{name} is refused: {refusal}") from None
    except Exception as error:  # damaged archives fail in many ways
        raise ValueError(f"{name} is not an archive of torch with a module: {error}") from error


class _Shell:
    """A module in the making; its class is one of the archive's in name only."""

    state: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise Refused(f"the state of a {_kind(type(self))} is no mapping")
        self.state = state


@dataclass(frozen=True)
class _Parameter:
    """A tensor that is a parameter."""

    values: np.ndarray


class _Archive:
    """The entries of an archive, and what its pickle may call."""

    def __init__(
        self, archive: zipfile.ZipFile, size_bytes: int, packages: tuple[str, ...]
    ) -> None:
        self._archive = archive
        self._size_bytes = size_bytes
        self._packages = packages
        self._shells: dict[str, type[_Shell]] = {}
        self._made_bytes = 0
        found = [name for name in archive.namelist() if name.split("/")[1:] == [_PICKLE]]
        if len(found) != 1:
            raise Refused(f"it has {len(found)} entries {_PICKLE}, where one is right")
        self._root = found[0].removesuffix(_PICKLE)
        order = f"{self._root}byteorder"
        self._order = ">" if order in archive.namelist() and self._entry(order) == b"big" else "<"

    def load(self) -> Any:
        """What the pickle holds, as shells and arrays."""
        program = BytesIO(self._entry(self._root + _PICKLE))
        check_program(program)
        return _Reader(self, program).load()

    def found(self, module: str, name: str) -> Any:
        """What stands for a name that the pickle asks for."""
        if (module, name) in _FUNCTIONS:
            return getattr(self, _FUNCTIONS[module, name])
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and name in ("float32", "float64"):
            return name
        full = f"{module}.{name}"
        if any(module.startswith(f"{package}.") for package in self._packages):
            if full not in self._shells:
                self._shells[full] = type(name, (_Shell,), {"__module__": module})
            return self._shells[full]
        raise Refused(
            f"it asks for {full}, and only tensors and modules of {', '.join(self._packages)} are "
            "admitted; nothing of it was run"
        )

    def storage(self, pid: Any) -> np.ndarray:
        """The numbers of a storage, one after the other."""
        kind, code, key, _, number = pid
        if kind != "storage" or code not in _STORAGES.values() or not str(key).isdecimal():
            raise Refused("it refers to something that is no storage")
        dtype = np.dtype(f"{self._order}{code}")
        raw = self._entry(f"{self._root}data/{key}")
        if type(number) is not int or len(raw) != number * dtype.itemsize:
            raise Refused(
                f"storage {key} should hold {number} numbers of {dtype.itemsize} bytes and has "
                f"{len(raw)} bytes"
            )
        return np.frombuffer(raw, dtype)

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> np.ndarray:
        """A tensor with its own copy of the numbers it consists of."""
        if not isinstance(storage, np.ndarray):
            raise Refused("it holds a tensor without a storage")
        steps = (offset, *shape, *strides)
        if len(shape) != len(strides) or any(type(n) is not int or n < 0 for n in steps):
            raise Refused(f"it holds a tensor of shape {shape!r} with strides {strides!r}")
        pairs = zip(shape, strides, strict=True)
        last = offset + sum((length - 1) * stride for length, stride in pairs)
        count = math.prod(shape)
        if count > len(storage) or (count and last >= len(storage)):
            raise Refused(
                f"a tensor of shape {tuple(shape)}, strides {tuple(strides)} and offset {offset} "
                f"reaches beyond its storage of {len(storage)} numbers"
            )
        size = storage.itemsize
        self._made_bytes += count * size
        if self._made_bytes > self._size_bytes:
            raise Refused(
                "its tensors are more than its storages, as if some were there repeatedly"
            )
        view = np.lib.stride_tricks.as_strided(
            storage[offset:], shape, [size * stride for stride in strides], writeable=False
        )
        return view.astype(storage.dtype.newbyteorder("="))

    def parameter(self, values: Any, *_: Any) -> _Parameter:
        """A parameter."""
        return _Parameter(values)

    def mapping(self, *items: Any) -> dict[Any, Any]:
        """A mapping, whatever its kind."""
        return dict(*items)

    def items(self, *items: Any) -> list[Any]:
        """A set, of which nothing is needed."""
        return []

    def _entry(self, name: str) -> bytes:
        try:
            entry = self._archive.getinfo(name)
        except KeyError:
            raise Refused(f"it has no entry {name}") from None
        # Torch does not compress: an entry larger than the archive would be a trap.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > self._size_bytes:
            raise Refused(f"its entry {name} is compressed, which torch never does")
        return self._archive.read(entry)


class _Reader(pickle.Unpickler):
    def __init__(self, archive: _Archive, file: IO[bytes]) -> None:
        super().__init__(file)
        self._archive = archive

    def find_class(self, module: str, name: str) -> Any:
        return self._archive.found(module, name)

    def persistent_load(self, pid: Any) -> Any:
        return self._archive.storage(pid)


def _saved(module: Any) -> SavedModule:
    if not isinstance(module, _Shell):
        raise Refused(f"it holds no module but {type(module).__name__}")
    tensors: dict[str, np.ndarray] = {}
    for name, value in _tensors(module):
        values = value.values if isinstance(value, _Parameter) else value
        if not isinstance(values, np.ndarray):
            raise Refused(f"{name} is no tensor but {type(values).__name__}")
        tensors[name] = values
    values = {
        str(key): list(value) if isinstance(value, tuple) else value
        for key, value in _state(module).items()
        if _is_plain(value)
    }
    return SavedModule(_kind(type(module)), values, tensors)


def _tensors(module: _Shell) -> Iterator[tuple[str, Any]]:
    """The tensors of a module and those within, without recursion and not without end."""
    waiting: list[tuple[str, Any]] = [("", module)]
    for _ in range(_MOST_MODULES):
        if not waiting:
            return
        path, current = waiting.pop()
        state = _state(current)
        for group in ("_parameters", "_buffers"):
            for name, value in dict(state.get(group, {})).items():
                if value is not None:
                    yield f"{path}{name}", value
        children = dict(state.get("_modules", {})).items()
        waiting += [(f"{path}{name}.", child) for name, child in children if child is not None]
    raise Refused(f"it holds more than {_MOST_MODULES} modules")


def _state(module: Any) -> dict[str, Any]:
    if not isinstance(module, _Shell) or "state" not in vars(module):
        raise Refused(f"it holds {type(module).__name__} where a module should be")
    return module.state


def _kind(shell: type[_Shell]) -> str:
    return f"{shell.__module__}.{shell.__name__}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(entry, int | float | str) for entry in value)
    return value is None or isinstance(value, bool | int | float | str)
