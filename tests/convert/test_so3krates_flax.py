from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from safetensors.numpy import load_file

from ase_geomformer.convert import so3krates_from_flax
from ase_geomformer.graph.atom_graph import AtomGraph

Model = tuple[dict[str, Any], dict[str, np.ndarray]]


@pytest.fixture
def model(shared: Path) -> Model:
    """Two layers, every option of the network, and ZBL repulsion."""
    folder = shared / "fixtures" / "so3krates" / "random_sparse"
    config = json.loads((folder / "B.config.json").read_text())
    return config, load_file(folder / "B.weights.safetensors")


def test_potential_has_terms_and_elements(model: Model, ethanol: Atoms) -> None:
    potential = so3krates_from_flax(*model, elements=["H", "C", "O"])
    assert potential.symbols == ("H", "C", "O")
    assert potential.dtype == torch.float64
    assert list(potential.terms) == ["zbl"]
    assert potential.terms_settings["zbl"]["cutoff_function"] == "exponential"
    results = potential(AtomGraph.from_atoms(ethanol, potential.cutoff))
    assert torch.isfinite(results["energy"]).all()


def test_every_weight_of_the_energy_is_taken(model: Model) -> None:
    """All that is left over belongs to the charge and Hirshfeld heads."""
    config, weights = model
    potential = so3krates_from_flax(config, weights)
    taken = sum(parameter.numel() for parameter in potential.parameters())
    left = {name: w for name, w in weights.items() if "partial_charges" in name}
    left |= {name: w for name, w in weights.items() if "observables_2" in name}
    assert taken == sum(w.size for w in weights.values()) - sum(w.size for w in left.values())


def test_potential_does_not_share_memory_with_the_weights(model: Model) -> None:
    config, weights = model
    potential = so3krates_from_flax(config, weights)
    before = [parameter.clone() for parameter in potential.parameters()]
    for array in weights.values():
        array[...] = 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, potential.parameters(), strict=True))


@pytest.mark.parametrize(
    "name", ["params.layers_1.attention_block.Wq1", "params.observables_0.zbl_repulsion.a3"]
)
def test_missing_weight_is_named(model: Model, name: str) -> None:
    config, weights = model
    del weights[name]
    with pytest.raises(ValueError, match=name):
        so3krates_from_flax(config, weights)


def test_long_range_terms_come_with_their_heads(model: Model) -> None:
    """Model B has the heads, though its energy does not use them."""
    config, weights = model
    long_range = {
        "electrostatic_energy_bool": True,
        "electrostatic_energy_scale": 3.0,
        "dispersion_energy_bool": True,
        "dispersion_energy_scale": 1.1,
        "cutoff_lr": 9.0,
    }
    potential = so3krates_from_flax({**config, **long_range}, weights)
    assert potential.terms_settings["electrostatics"] == {
        "damping_length": 3.0,
        "long_range_cutoff": 9.0,
        "truncation": "published",
    }
    assert potential.terms_settings["dispersion"]["long_range_cutoff"] == 9.0
    assert {"charges", "hirshfeld_ratios"} < set(potential.properties)
    # The original's tables of charges and ratios end with einsteinium.
    assert potential.symbols[-1] == "Es"
    del weights["params.observables_2.Embed_1.embedding"]
    with pytest.raises(ValueError, match=r"lacks 1 parameters.*observables_2.Embed_1"):
        so3krates_from_flax({**config, **long_range}, weights)
    with pytest.raises(ValueError, match="energy_regression_dim is None"):
        so3krates_from_flax({**config, **long_range, "energy_regression_dim": None}, weights)


def test_unknown_basis_is_refused(model: Model) -> None:
    config, weights = model
    with pytest.raises(ValueError, match=r"radial_basis_fn.*'chebyshev'.*bernstein"):
        so3krates_from_flax({**config, "radial_basis_fn": "chebyshev"}, weights)


def test_unknown_generation_is_refused(model: Model) -> None:
    with pytest.raises(ValueError, match=r"generation is '2023'; choose from sparse, dense, 2022"):
        so3krates_from_flax(*model, generation="2023")


@pytest.fixture
def dense_model(shared: Path) -> Model:
    folder = shared / "fixtures" / "so3krates" / "random_dense_v03"
    config = json.loads((folder / "C.config.json").read_text())
    return config, load_file(folder / "C.weights.safetensors")


def test_every_weight_of_the_dense_code_is_taken(dense_model: Model) -> None:
    """Our table of elements is longer: its further rows are empty, and their elements unknown."""
    config, weights = dense_model
    potential = so3krates_from_flax(config, weights, generation="dense")
    assert list(potential.terms) == ["zbl"]
    assert potential.elements == tuple(range(1, 100))
    taken = sum(parameter.numel() for parameter in potential.parameters())
    assert taken - 19 * config["F"] == sum(array.size for array in weights.values())
    assert not potential.architecture.element_embedding.weight[100:].any()


def test_scales_and_shifts_of_elements_are_taken_from_the_configuration(
    dense_model: Model, ethanol: Atoms
) -> None:
    config, weights = dense_model
    tables = {"per_atom_scale": [1.0] * 6 + [2.0] * 4, "per_atom_shift": [0.0] * 8 + [-3.0] * 2}
    plain = so3krates_from_flax(config, weights, generation="dense")
    scaled = so3krates_from_flax({**config, **tables}, weights, generation="dense")
    assert scaled.elements == tuple(range(1, 10))
    graph = AtomGraph.from_atoms(ethanol, plain.cutoff)
    numbers = graph.atomic_numbers
    before, after = (p.architecture(graph)["energies"] for p in (plain, scaled))
    expected = before * torch.where(numbers >= 6, 2.0, 1.0) - torch.where(numbers >= 8, 3.0, 0.0)
    torch.testing.assert_close(after, expected)


def test_filters_that_differ_are_refused(dense_model: Model) -> None:
    config, weights = dense_model
    layer = {**config["so3krates_layer_kwargs"], "gb_filter": "radial_spherical"}
    with pytest.raises(ValueError, match="radial_spherical.* in one layer"):
        so3krates_from_flax(
            {**config, "so3krates_layer_kwargs": layer}, weights, generation="dense"
        )


def test_weight_of_the_wrong_size_is_named(dense_model: Model) -> None:
    config, weights = dense_model
    name = "params.layers_0.InteractionBlock_0.MLP_0.layers_0.kernel"
    weights[name] = weights[name][:-1]
    with pytest.raises(ValueError, match=rf"{name}.* has shape .*configuration asks for"):
        so3krates_from_flax(config, weights, generation="dense")


@pytest.fixture
def model_2022(shared: Path) -> Model:
    folder = shared / "fixtures" / "so3krates" / "random_2022_v01"
    config = json.loads((folder / "B.config.json").read_text())
    return config, load_file(folder / "B.weights.safetensors")


def test_every_weight_of_the_2022_code_is_taken(model_2022: Model) -> None:
    config, weights = model_2022
    potential = so3krates_from_flax(config, weights, generation="2022")
    settings = potential.architecture.settings
    assert (settings.nonlocal_cutoff, settings.softening) == ("uniform", 0.0)
    assert not settings.rounded_constants
    assert potential.elements == tuple(range(1, 20))
    taken = sum(p.numel() for n, p in potential.named_parameters() if n.split(".")[-1] != "scales")
    longer = 19 * config["F"] + 119  # rows of further elements, and the shifts
    assert taken - longer == sum(array.size for array in weights.values())


def test_nonlocal_attention_needs_all_pairs(model_2022: Model) -> None:
    config, weights = model_2022
    with pytest.raises(ValueError, match="chi_cut without a global neighbour list"):
        so3krates_from_flax({**config, "global_neighbour_list": False}, weights, generation="2022")


def test_filter_of_another_depth_is_refused(model_2022: Model) -> None:
    config, weights = model_2022
    with pytest.raises(ValueError, match=r"layers of widths \[32, 32, 24\]"):
        so3krates_from_flax({**config, "rad_filter": [32, 32, 24]}, weights, generation="2022")


def test_rounding_changes_the_ninth_digit_only(model_2022: Model, ethanol: Atoms) -> None:
    exact, rounded = (
        so3krates_from_flax(*model_2022, generation="2022", rounded_constants=flag)
        for flag in (False, True)
    )
    graph = AtomGraph.from_atoms(ethanol, exact.cutoff, far_cutoff=exact.far_cutoff)
    change = (exact(graph)["energy"] - rounded(graph)["energy"]).abs()
    assert 1e-12 < change < 1e-7
