"""SO3LR from each form of its checkpoint, and pickles that must not run."""

from __future__ import annotations

import json
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from ase_geomformer import PotentialCalculator, load_potential
from ase_geomformer.checkpoint.folder import verify
from ase_geomformer.cli import main
from ase_geomformer.convert import so3lr
from ase_geomformer.convert.restricted_pickle import read_arrays
from ase_geomformer.potential import Potential


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "fixtures" / "so3krates" / "so3lr"


@pytest.fixture(scope="module")
def tree(folder: Path) -> dict[str, Any]:
    """The parameters as the original keeps them: dicts in dicts."""
    tree: dict[str, Any] = {}
    for name, array in load_file(folder / "weights_flax.safetensors").items():
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = array
    return tree


def assert_same(one: Potential, other: Potential) -> None:
    """Equal but for the rows of Z = 0 in tables by element, which the port does not have."""
    state = other.state_dict()
    for name, tensor in one.state_dict().items():
        first = 1 if tensor.ndim and len(tensor) == 119 else 0
        found, expected = torch.atleast_1d(tensor)[first:], torch.atleast_1d(state[name])[first:]
        assert torch.equal(found, expected), name


def test_what_it_is(folder: Path) -> None:
    potential = so3lr(folder / "weights_flax.safetensors")
    assert potential.dtype == torch.float32
    assert potential.symbols == ("H", "C", "N", "O", "F", "P", "S", "Cl")
    assert list(potential.terms) == ["zbl", "electrostatics", "dispersion"]
    assert potential.cutoff == 4.5
    assert potential.far_cutoff == 12.0
    assert so3lr(folder / "weights_flax.safetensors", long_range_cutoff=None).far_cutoff == np.inf
    # The published 530,238, and rows for the elements beyond einsteinium in three tables.
    count = sum(parameter.numel() for parameter in potential.parameters())
    assert count == 530_238 + 19 * (1 + 1 + 64)


def test_both_namings_give_the_same_potential(folder: Path) -> None:
    flax, port = (so3lr(folder / f"weights_{name}.safetensors") for name in ("flax", "torch"))
    assert_same(flax, port)
    assert not flax.state_dict()["architecture.energy_head.shifts"].any()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_official_form(folder: Path, tree: dict[str, Any], tmp_path: Path, protocol: int) -> None:
    """params.pkl beside its hyperparameters, given as a folder."""
    (tmp_path / "params.pkl").write_bytes(pickle.dumps(tree, protocol=protocol))
    content = json.loads((folder / "hyperparameters.json").read_text())
    (tmp_path / "hyperparameters.json").write_text(json.dumps(content))
    expected = so3lr(folder / "weights_flax.safetensors")
    assert_same(so3lr(tmp_path), expected)
    (tmp_path / "hyperparameters.json").unlink()
    assert_same(so3lr(tmp_path / "params.pkl", content), expected)
    with pytest.raises(FileNotFoundError, match=r"hyperparameters\.json.*published with"):
        so3lr(tmp_path)


def test_verb(folder: Path, tmp_path: Path, ethanol: Any, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "so3lr"
    path = str(folder / "weights_flax.safetensors")
    assert main(["convert", "so3lr", path, "--output", str(output)]) == 0
    assert "so3krates for H, C, N, O, F, P, S, Cl" in capsys.readouterr().out
    potential = load_potential(output)
    assert potential.card.name == "so3lr"
    assert max(verify(potential).values()) < 1e-12
    calculator = PotentialCalculator(output, dtype="float64", long_range_cutoff=None)
    ethanol.calc = calculator
    charges = ethanol.get_charges()
    assert charges.sum() == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(ethanol.get_dipole_moment(), charges @ ethanol.positions)
    assert main(["convert", "so3lr", path, "--output", str(output)]) == 2
    assert "is not empty" in capsys.readouterr().err
    nowhere = str(tmp_path / "nothing.pkl")
    assert main(["convert", "so3lr", nowhere, "--output", str(tmp_path / "new")]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err


def test_missing_parameters_and_settings_are_named(folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    for naming, lost in (
        ("flax", "params.observables_2.Embed_1.embedding"),
        ("torch", "zbl_repulsion.a3_raw"),
    ):
        weights = load_file(folder / f"weights_{naming}.safetensors")
        del weights[lost]
        save_file(weights, tmp_path / "incomplete.safetensors")
        with pytest.raises(ValueError, match=f"lacks 1 parameters, first '{lost}'"):
            so3lr(tmp_path / "incomplete.safetensors", folder / "hyperparameters.json")
    with pytest.raises(ValueError, match=r"no configuration of SO3LR: 'model' is missing"):
        so3lr(folder / "weights_flax.safetensors", {"data": {}})


# --- pickles ------------------------------------------------------------------------------------


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def test_planted_payload_does_not_run(tmp_path: Path, tree: dict[str, Any]) -> None:
    planted = {**tree, "params": {**tree["params"], "extra": Payload(Path.touch, tmp_path / "ran")}}
    path = tmp_path / "params.pkl"
    path.write_bytes(pickle.dumps(planted))
    with pytest.raises(
        ValueError, match=r"params\.pkl is refused: it asks for .* nothing of it was run"
    ):
        so3lr(path, {"model": {"num_layers": 3}, "data": {"avg_num_neighbors": 1.0}})
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())  # what would have happened
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "payload",
    [
        Payload(eval, "1 + 1"),
        Payload(getattr, "text", "upper"),
        Payload(__import__, "os"),
        Payload(np.array, [1.0]),
        Payload(np.load, "file.npy"),
        Payload(torch.zeros, 3),
    ],
    ids=["eval", "getattr", "import", "numpy.array", "numpy.load", "torch"],
)
def test_every_other_function_is_refused(payload: Payload, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"a": payload}))
    with pytest.raises(ValueError, match=r"is refused: it asks for .* only arrays, dicts, lists"):
        read_arrays(tmp_path / "bad.pkl")


def test_objects_and_strange_values_are_refused(tmp_path: Path) -> None:
    for content, fault in (
        ({"a": {"b": "text"}}, "a.b is no array of numbers but str"),
        ({"a": None}, "a is no array of numbers but NoneType"),
        ([1, [2, "3"]], "its content is no array of numbers but list"),
        ({"a": np.array(["text"])}, "only numbers are admitted"),
        ({"a": np.array([Payload(print, "ran")], dtype=object)}, "refused"),
        ({"a": slice(2)}, "asks for builtins.slice"),
    ):
        (tmp_path / "bad.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=fault):
            read_arrays(tmp_path / "bad.pkl")


def test_attributes_of_what_is_admitted_cannot_be_changed(tmp_path: Path) -> None:
    """BUILD may set attributes of anything on the stack: not of what later pickles use."""
    for module, name in (("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct")):
        poison = (
            b"\x80\x02c"
            + f"{module}\n{name}\n".encode()
            + b"N}X\x08\x00\x00\x00__code__K\x01s\x86b."
        )
        (tmp_path / "bad.pkl").write_bytes(poison)
        with pytest.raises(ValueError, match="is not a pickle of arrays"):
            read_arrays(tmp_path / "bad.pkl")
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"a": np.arange(3)}))
    assert read_arrays(tmp_path / "good.pkl")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps({"a": np.ones(9)})[:-30]])
def test_damaged_files_are_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.pkl is not a pickle of arrays"):
        read_arrays(tmp_path / "bad.pkl")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_every_kind_come_back(protocol: int, tmp_path: Path) -> None:
    arrays = {
        "c": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big_endian": np.arange(3, dtype=">f8"),
        "flags": np.array([True, False]),
        "zero_dimensional": np.array(2.5),
        "empty": np.zeros((0, 3)),
        "scalar": np.float32(1.5),
    }
    content = OrderedDict(nested=arrays, number=3, rows=[[1.0, 2.0], [3.0, 4.0]])
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_arrays(tmp_path / "good.pkl")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[f"nested.{name}"], array)
        assert found[f"nested.{name}"].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert found["number"] == 3
    assert found["rows"].tolist() == content["rows"]


def test_arrays_of_jax_are_read_without_jax(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As jax pickles its arrays: a function of its own around numpy's reduction."""
    module = ModuleType("jax._src.array")

    def _reconstruct_array(*_: object) -> None:
        raise AssertionError("jax's function was called")

    _reconstruct_array.__module__ = module.__name__
    _reconstruct_array.__qualname__ = "_reconstruct_array"
    module._reconstruct_array = _reconstruct_array
    for name, value in (("jax", ModuleType("jax")), ("jax._src", ModuleType("jax._src"))):
        monkeypatch.setitem(sys.modules, name, value)
    monkeypatch.setitem(sys.modules, "jax._src.array", module)

    class JaxArray:
        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def __reduce__(self) -> tuple[Any, ...]:
            make, arguments, state = self.values.__reduce__()
            return _reconstruct_array, (make, arguments, state, {"weak_type": False})

    values = np.arange(4.0, dtype=np.float32)
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"a": JaxArray(values)}))
    assert read_arrays(tmp_path / "good.pkl")["a"].tolist() == values.tolist()
