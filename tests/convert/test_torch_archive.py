"""Archives of torch read without torch, and archives that must not be believed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ase_geomformer.convert.torch_archive import is_torch_archive, read_module

PACKAGES = ("torch.nn.modules",)


def archive(module: object) -> bytes:
    file = io.BytesIO()
    torch.save(module, file)
    return file.getvalue()


def changed(content: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """The archive after a change of its entries, by their names without the root."""
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        entries = {name.split("/", 1)[1]: old.read(name) for name in old.namelist()}
    change(entries)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in entries.items():
            new.writestr(f"archive/{name}", data)
    return file.getvalue()


def with_pickle(content: bytes) -> bytes:
    return changed(archive(nn.Linear(2, 2)), lambda entries: entries.update({"data.pkl": content}))


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.LayerNorm(4), nn.BatchNorm1d(4))
    made.degrees, made.scale, made.note, made.kind = (1, 2), 0.5, "text", torch.float32
    made[0].weight = nn.Parameter(torch.arange(24.0).reshape(4, 6)[:, ::2])  # strides of (6, 2)
    return made


def test_it_holds_what_torch_wrote(module: nn.Module) -> None:
    content = archive(module)
    assert is_torch_archive(io.BytesIO(content))
    found = read_module(content, "it", PACKAGES)
    assert found.kind == "torch.nn.modules.container.Sequential"
    assert found.tensors.keys() == module.state_dict().keys()
    for name, tensor in module.state_dict().items():
        assert found.tensors[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found.tensors[name], tensor.numpy())
    wanted = {"degrees": [1, 2], "scale": 0.5, "note": "text", "kind": "float32", "training": True}
    assert wanted.items() <= found.values.items()


def test_numbers_of_the_other_byte_order(module: nn.Module) -> None:
    def swap(entries: dict[str, bytes]) -> None:
        entries["byteorder"] = b"big"
        for name in entries:
            if name.startswith("data/"):
                width = 8 if len(entries[name]) == 8 else 4  # num_batches_tracked is int64
                entries[name] = np.frombuffer(entries[name], f"u{width}").byteswap().tobytes()

    found = read_module(changed(archive(module), swap), "it", PACKAGES)
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(found.tensors[name], tensor.numpy())


def test_a_shared_module_is_there_under_both_names() -> None:
    shared = nn.Linear(2, 2)
    found = read_module(archive(nn.ModuleList([shared, nn.Sequential(shared)])), "it", PACKAGES)
    np.testing.assert_array_equal(found.tensors["0.weight"], found.tensors["1.0.weight"])


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def test_planted_code_does_not_run(tmp_path: Path) -> None:
    planted = nn.Linear(2, 2)
    planted.extra = Payload(Path.touch, tmp_path / "ran")
    content = archive(planted)
    with pytest.raises(ValueError, match=r"^it is refused: it asks for .* nothing of it was run$"):
        read_module(content, "it", PACKAGES)
    assert not (tmp_path / "ran").exists()
    torch.load(io.BytesIO(content), weights_only=False)  # what would have happened
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "payload",
    [
        Payload(eval, "1 + 1"),
        Payload(os.system, "true"),
        Payload(getattr, "text", "upper"),
        Payload(torch.zeros, 3),
        Payload(torch.hub.load, "a", "b"),
        Payload(np.array, [1.0]),
        Payload(torch.nn.init.zeros_, 1),
    ],
    ids=["eval", "system", "getattr", "torch", "hub", "numpy", "torch.nn"],
)
def test_every_other_function_is_refused(payload: Payload) -> None:
    with pytest.raises(ValueError, match="refused: it asks for .* nothing of it was run"):
        read_module(with_pickle(pickle.dumps({"a": payload}, protocol=2)), "it", PACKAGES)


def test_admitted_classes_are_not_imported() -> None:
    """Their names only name: a class that there is not does no harm, and none is called."""
    content = with_pickle(b"\x80\x02ctorch.nn.modules.evil\nBomb\n)\x81}b.")
    assert read_module(content, "it", PACKAGES).kind == "torch.nn.modules.evil.Bomb"
    called = with_pickle(b"\x80\x02ctorch.nn.modules.linear\nLinear\nK\x02K\x02\x86R.")
    with pytest.raises(ValueError, match="not an archive of torch"):
        read_module(called, "it", PACKAGES)


@pytest.mark.parametrize(
    "asked",
    ["collections\nOrderedDict", "torch._utils\n_rebuild_tensor_v2", "torch.nn.modules.a\nB"],
)
def test_what_is_admitted_cannot_be_changed(asked: str, module: nn.Module) -> None:
    """BUILD may set attributes of anything on the stack: not of what later archives use."""
    poison = b"\x80\x02c" + f"{asked}\n".encode() + b"N}X\x08\x00\x00\x00__code__K\x01s\x86b."
    with pytest.raises(ValueError, match="it is"):
        read_module(with_pickle(poison), "it", PACKAGES)
    assert len(read_module(archive(module), "it", PACKAGES).tensors) == 9


class Tensor:
    """Is unpickled by torch's function with arguments of our choice, and so is its storage."""

    def __init__(self, *arguments: object, number: int = 4, key: str = "0") -> None:
        self.arguments = arguments
        self.pid = ("storage", torch.FloatStorage, key, "cpu", number)

    def __reduce__(self) -> tuple[Any, ...]:
        place = _Storage(self.pid)
        return torch._utils._rebuild_tensor_v2, (place, *self.arguments, False, OrderedDict())


class _Storage:
    def __init__(self, pid: tuple[Any, ...]) -> None:
        self.pid = pid


class _Pickler(pickle.Pickler):
    def persistent_id(self, item: object) -> Any:
        return item.pid if isinstance(item, _Storage) else None


def read_tensor(*tensors: Tensor, storage: bytes = b"\x00" * 16) -> np.ndarray:
    """What becomes of tensors whose storage 0 has 16 bytes."""
    module = nn.Linear(1, 1)
    module.__dict__["_buffers"] = {f"b{index}": tensor for index, tensor in enumerate(tensors)}
    module.__dict__["_parameters"] = {}
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(module)
    content = changed(
        archive(nn.Linear(1, 1)),
        lambda entries: entries.update({"data.pkl": file.getvalue(), "data/0": storage}),
    )
    return read_module(content, "it", PACKAGES).tensors["b0"]


def test_tensors_within_their_storage() -> None:
    numbers = np.arange(4, dtype="f4").tobytes()
    assert read_tensor(Tensor(1, (3,), (1,)), storage=numbers).tolist() == [1, 2, 3]
    assert read_tensor(Tensor(0, (2, 2), (1, 2)), storage=numbers).tolist() == [[0, 2], [1, 3]]
    assert read_tensor(Tensor(0, (0, 5), (5, 1)), storage=numbers).shape == (0, 5)
    assert read_tensor(Tensor(3, (), ()), storage=numbers).tolist() == 3


@pytest.mark.parametrize(
    ("tensor", "fault"),
    [
        (Tensor(0, (5,), (1,)), "reaches beyond its storage of 4"),
        (Tensor(2, (3,), (1,)), "reaches beyond"),
        (Tensor(0, (2,), (1000,)), "reaches beyond"),
        (Tensor(10**9, (1,), (1,)), "reaches beyond"),
        (Tensor(0, (10**12,), (0,)), "reaches beyond"),
        (Tensor(-1, (1,), (1,)), "of shape"),
        (Tensor(0, (2,), (-1,)), "of shape"),
        (Tensor(0, (-2,), (1,)), "of shape"),
        (Tensor(0, (2, 2), (1,)), "of shape"),
        (Tensor(0, (2.0,), (1,)), "of shape"),
        (Tensor(0, (True,), (1,)), "of shape"),
        (Tensor(0, (4,), (1,), number=5), "should hold 5 numbers of 4 bytes and has 16 bytes"),
        (Tensor(0, (4,), (1,), number=-4), "should hold -4"),
        (Tensor(0, (4,), (1,), key="7"), "no entry archive/data/7"),
        (Tensor(0, (4,), (1,), key="../data.pkl"), "is no storage"),
    ],
)
def test_tensors_beyond_their_storage(tensor: Tensor, fault: str) -> None:
    with pytest.raises(ValueError, match=f"it is refused: .*{fault}"):
        read_tensor(tensor)


def test_one_storage_a_hundred_times() -> None:
    """Little on disk must not become much in memory."""
    tensors = [Tensor(0, (25_000,), (1,), number=25_000) for _ in range(100)]
    with pytest.raises(ValueError, match="more than its storages"):
        read_tensor(*tensors, storage=bytes(100_000))


def test_modules_without_end() -> None:
    """A module that holds itself, and one whose modules double with every layer."""
    circle = nn.Sequential()
    circle._modules["0"] = circle
    doubled = nn.Sequential()
    for _ in range(50):
        doubled = nn.Sequential(doubled, doubled)
    for module in (circle, doubled):
        with pytest.raises(ValueError, match="refused: it holds more than 100000 modules"):
            read_module(archive(module), "it", PACKAGES)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda entries: entries.pop("data.pkl"), "0 entries data.pkl"),
        (lambda entries: entries.pop("data/0"), "no entry archive/data/0"),
        (lambda entries: entries.update({"data.pkl": entries["data.pkl"][:-40]}), "not an archive"),
        (lambda entries: entries.update({"data.pkl": b"\x80\x02K\x01."}), "no module but int"),
    ],
)
def test_incomplete_archives(change: Callable[[dict[str, bytes]], object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_module(changed(archive(nn.Linear(2, 2)), change), "it", PACKAGES)


def test_compressed_entries_are_refused() -> None:
    """Torch compresses nothing: a small file of a thousand megabytes is a trap."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", b"\x00" * 10**6)
    with pytest.raises(ValueError, match="data.pkl is compressed"):
        read_module(file.getvalue(), "it", PACKAGES)
    assert not is_torch_archive(io.BytesIO(b"no zip file"))


def test_every_damaged_byte_is_an_error_or_other_numbers(module: nn.Module) -> None:
    content = archive(module)
    for place in np.random.default_rng(0).integers(len(content), size=300):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        with suppress(ValueError):
            read_module(bytes(damaged), "it", PACKAGES)
