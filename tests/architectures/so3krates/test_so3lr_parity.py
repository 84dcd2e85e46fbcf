"""SO3LR against numbers of the original JAX code in float64: whole energies, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor

from ase_geomformer.convert import so3lr
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential

# System and long-range cutoffs in Å; None is no cutoff.
SYSTEMS = {
    "water": (12.0,),
    "ethanol": (12.0, 1000.0, None),
    "acetate": (12.0,),
    "ammonium": (12.0,),
    "O2_triplet": (12.0,),
    "dha": (12.0,),
    "atat": (12.0,),
    "bb": (12.0,),
    "ala15": (12.0,),
    "water64_pbc": (6.0, 12.0),
    "water4_triclinic": (5.0, 9.0),
}
CASES = [(system, cutoff) for system, cutoffs in SYSTEMS.items() for cutoff in cutoffs]
WITH_FEATURES = ("water", "ethanol", "acetate", "water4_triclinic")
TERMS = ["architecture", "zbl", "electrostatics", "dispersion"]
DIMERS = ("H2", "N2", "HF", "CO", "NaCl", "Ar2", "HO_minus", "NaNa_plus")
TIGHT = {"rtol": 0.0, "atol": 1e-11}
REQUIRED = {"rtol": 0.0, "atol": 1e-9}


@cache
def converted(folder: Path, cutoff: float | None) -> Potential:
    potential = so3lr(folder / "weights_flax.safetensors", long_range_cutoff=cutoff)
    return potential.copy(dtype=torch.float64)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "fixtures" / "so3krates" / "so3lr"


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "note"}


def structure(arrays: Mapping[str, np.ndarray]) -> Atoms:
    return Atoms(
        arrays["atomic_numbers"],
        positions=arrays["positions"],
        cell=arrays["cell"],
        pbc=arrays["pbc"],
        info=electrons(arrays["total_charge"], arrays["num_unpaired_electrons"]),
    )


def electrons(charge: np.ndarray, unpaired: np.ndarray) -> dict[str, float]:
    return {"charge": float(charge), "spin": float(unpaired) + 1.0}


def graph_of(potential: Potential, atoms: Atoms | list[Atoms]) -> AtomGraph:
    return AtomGraph.from_atoms(atoms, potential.cutoff, far_cutoff=potential.far_cutoff)


def assert_close(found: Tensor, expected: np.ndarray, tolerance: Mapping[str, float]) -> None:
    np.testing.assert_allclose(found.numpy(force=True), expected, **tolerance)


@pytest.mark.parametrize(("system", "cutoff"), CASES)
def test_systems(folder: Path, system: str, cutoff: float | None) -> None:
    arrays = load(folder / "systems" / f"{system}.npz")
    prefix = f"lr_{'inf' if cutoff is None else f'{cutoff:g}'}."
    expected = {key.removeprefix(prefix): value for key, value in arrays.items()}
    potential = converted(folder, cutoff)
    graph = graph_of(potential, structure(arrays))
    assert graph.num_edges == expected["n_edges"]
    assert 2 * graph.num_far_pairs == expected["n_edges_lr"]

    wanted = ["energy", "forces", "charges", "hirshfeld_ratios"]
    results = potential(graph, [*wanted, *(["stress"] if "stress" in expected else [])])
    assert_close(results["energy"][0], expected["energy"], REQUIRED)
    assert_close(results["forces"], expected["forces"], REQUIRED)
    assert_close(results["charges"], expected["partial_charges"], TIGHT)
    assert_close(results["hirshfeld_ratios"], expected["hirshfeld_ratios"], TIGHT)
    dipole = results["charges"].double().numpy(force=True) @ arrays["positions"]
    np.testing.assert_allclose(dipole, expected["dipole"], rtol=0, atol=1e-10)
    if "stress" in expected:
        assert_close(results["stress"][0], expected["stress"], TIGHT)

    terms = potential.energy_terms(graph)
    assert list(terms) == TERMS
    assert_close(torch.stack(list(terms.values())), expected["atomic_energy_terms"], REQUIRED)


@pytest.mark.parametrize("system", WITH_FEATURES)
def test_features(folder: Path, system: str) -> None:
    """The state after each layer, and attention's updates within it."""
    arrays = load(folder / "systems" / f"{system}.npz")
    potential = converted(folder, 12.0)
    architecture, graph = potential.architecture, graph_of(potential, structure(arrays))
    assert_close(architecture.embed(graph), arrays["feat.x_0"], TIGHT)
    for suffix, part in (("", ""), ("_att", "attention")):
        outputs: list[tuple[Tensor, Tensor]] = []
        hooks = [
            layer.get_submodule(part).register_forward_hook(
                lambda _, __, output, outputs=outputs: outputs.append(output)
            )
            for layer in architecture.layers
        ]
        architecture(graph)
        for hook in hooks:
            hook.remove()
        for number, (x, ev) in enumerate(outputs, start=1):
            assert_close(x, arrays[f"feat.x{suffix}_{number}"], TIGHT)
            assert_close(ev, arrays[f"feat.ev{suffix}_{number}"], TIGHT)


@pytest.mark.parametrize("name", DIMERS)
def test_dimers(folder: Path, name: str) -> None:
    """From 0.3 to 15 Å, on both sides of every switch and cutoff; one batch."""
    arrays = load(folder / "dimers.npz")
    expected = {key.removeprefix(f"{name}."): value for key, value in arrays.items()}
    info = electrons(expected["total_charge"], expected["num_unpaired_electrons"])
    structures = [
        Atoms(expected["atomic_numbers"], [[0.0, 0.0, 0.0], [0.0, 0.0, d]], info=info)
        for d in expected["distance"]
    ]
    potential = converted(folder, 12.0)
    graph = graph_of(potential, structures)
    results = potential(graph, ("energy", "forces", "charges", "hirshfeld_ratios"))
    assert_close(results["energy"], expected["energy"], REQUIRED)
    assert_close(results["forces"].reshape(-1, 2, 3), expected["forces"], REQUIRED)
    assert_close(results["charges"].reshape(-1, 2), expected["partial_charges"], TIGHT)
    assert_close(results["hirshfeld_ratios"].reshape(-1, 2), expected["hirshfeld_ratios"], TIGHT)
    for column, energies in enumerate(potential.energy_terms(graph).values()):
        pairs = energies.reshape(-1, 2).sum(dim=1)
        assert_close(pairs, expected["energy_terms"][:, column], REQUIRED)


def test_single_atoms(folder: Path) -> None:
    """Atoms and ions without neighbours, in one batch: the charge is the total charge."""
    expected = load(folder / "single_atoms.npz")
    columns = ("atomic_number", "total_charge", "num_unpaired_electrons")
    structures = [
        Atoms([number], info=electrons(charge, unpaired))
        for number, charge, unpaired in zip(*(expected[name] for name in columns), strict=True)
    ]
    potential = converted(folder, 12.0)
    graph = graph_of(potential, structures)
    results = potential(graph, ("energy", "forces", "charges", "hirshfeld_ratios"))
    assert_close(results["energy"], expected["energy"], REQUIRED)
    assert_close(results["charges"], expected["partial_charge"], TIGHT)
    assert_close(results["hirshfeld_ratios"], expected["hirshfeld_ratio"], TIGHT)
    assert not results["forces"].any()
    terms = torch.stack(list(potential.energy_terms(graph).values()), dim=1)
    assert_close(terms, expected["energy_terms"], REQUIRED)


@pytest.mark.parametrize("name", ["water", "ethanol"])
def test_hessians(folder: Path, name: str) -> None:
    """Second derivatives, by differentiating the forces once more."""
    arrays = load(folder / "hessians.npz")
    positions = torch.from_numpy(arrays[f"{name}.positions"])
    atoms = Atoms(arrays[f"{name}.atomic_numbers"], positions.numpy())
    potential = converted(folder, 12.0)
    graph = graph_of(potential, atoms)

    def energy(positions: Tensor) -> Tensor:
        near, far = (
            positions[index[1]] - positions[index[0]]
            for index in (graph.edge_index, graph.far_index)
        )
        moved = replace(graph, edge_vectors=near, far_vectors=far)
        return potential(moved, ("energy",))["energy"][0]

    hessian = torch.autograd.functional.hessian(energy, positions)
    assert_close(hessian, arrays[f"{name}.hessian"], {"rtol": 0.0, "atol": 1e-9})
