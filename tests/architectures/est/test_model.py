from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from scipy.spatial.transform import Rotation

from ase_geomformer.acceleration.tables import tabulate
from ase_geomformer.architectures import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.spline import SplineTable
from ase_geomformer.potential import Potential
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.structures import assert_close, ethanol, evaluate
from ase_geomformer.testing.suite import ArchitectureSuite, random_potential
from tests.architectures.est.small import SMALL


class TestEst(ArchitectureSuite):
    name = "est"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        # As shipped, in small.
        "standard": SMALL,
        "everything": {
            **SMALL,
            "lmax": 3,
            "messages": "so2",
            "attention_width": 8,
            "experts": 2,
            "spherical_heads": 2,
            "rule": "gauss_legendre",
            "radial_basis": "physnet",
            "cutoff_function": "exponential",
            "atomic_scales": True,
            "charge_embedding": True,
            "spin_embedding": True,
        },
        "bare": {
            **SMALL,
            "lmax": 1,
            "num_layers": 1,
            "num_heads": 0,
            "branches": "steerable",
            "radial_basis": "gaussian",
            "energy_width": None,
            "atomic_shifts": False,
        },
    }
    # With vectors alone, the force constant of diamond is as small as 0.03: a displacement of
    # 0.01 Å changes it by 11 %, one of 0.001 Å by 1.1 %.
    limits = Limits(anharmonicity=0.2)


TURN = Rotation.from_rotvec([0.4, -1.3, 0.9]).as_matrix()


def turned_ethanol() -> Any:
    atoms = ethanol()
    atoms.positions = atoms.positions @ TURN.T
    return atoms


def rotation_error(potential: Potential) -> float:
    """Difference of the forces on a turned molecule, relative to the largest force."""
    forces = evaluate(potential, ethanol())["forces"]
    turned = evaluate(potential, turned_ethanol())["forces"] @ torch.from_numpy(TURN)
    return ((turned - forces).abs().max() / forces.abs().max()).item()


@pytest.mark.parametrize("kernel", ["softmax", "smooth", "published"])
def test_approximate_kernels_are_marked(kernel: str) -> None:
    potential = random_potential("est", {**SMALL, "kernel": kernel})
    assert not potential.architecture.exact_equivariance
    assert 1e-9 < rotation_error(potential) < 0.5


@pytest.mark.parametrize("kernel", ["softmax", "smooth"])
def test_more_points_make_rotations_more_exact(kernel: str) -> None:
    """The weights stay: the point set of a trained potential may be refined."""
    coarse = random_potential("est", {**SMALL, "kernel": kernel, "degree": 9})
    fine = build("est", {**SMALL, "kernel": kernel, "degree": 23})
    fine.load_state_dict(coarse.architecture.state_dict())
    assert rotation_error(Potential(fine, coarse.elements)) < 0.1 * rotation_error(coarse)


def test_polynomial_kernel_is_exact_from_three_times_the_degree_on() -> None:
    assert build("est", SMALL).exact_equivariance
    too_few = random_potential("est", {**SMALL, "degree": 5})
    assert not too_few.architecture.exact_equivariance
    assert rotation_error(too_few) > 1e-6


def test_without_parity_mirror_images_differ() -> None:
    """Rotations stay exact."""
    potential = random_potential("est", {**SMALL, "messages": "so2", "parity": False})
    assert rotation_error(potential) < 1e-11
    mirrored = ethanol()
    mirrored.positions[:, 2] *= -1.0
    energies = [evaluate(potential, atoms)["energy"].item() for atoms in (ethanol(), mirrored)]
    assert abs(energies[0] - energies[1]) > 1e-6


def test_direct_forces_turn_with_the_structure() -> None:
    """A head of their own. A lone atom has none, but for what quadrature rounds: 7e-19."""
    architecture = random_potential("est", {**SMALL, "direct_forces": True}).architecture
    assert architecture.outputs == ("energies", "direct_forces")
    here, there = (
        architecture(AtomGraph.from_atoms(atoms, architecture.cutoff))["direct_forces"]
        for atoms in (ethanol(), turned_ethanol())
    )
    assert_close(there, here @ torch.from_numpy(TURN).T, 1e-11)
    lone = AtomGraph.from_atoms(ethanol()[:1], architecture.cutoff)
    assert architecture(lone)["direct_forces"].abs().max() < 1e-15


def test_charges_sum_to_that_of_the_structure() -> None:
    architecture = random_potential("est", {**SMALL, "charge_width": 4}).architecture
    atoms = ethanol()
    atoms.info["charge"] = -1
    charges = architecture(AtomGraph.from_atoms(atoms, architecture.cutoff))["charges"]
    assert charges.std() > 1e-6
    torch.testing.assert_close(charges.sum().item(), -1.0)


@pytest.mark.parametrize("messages", ["filters", "so2"])
def test_filters_can_be_tabulated(messages: str) -> None:
    settings = {**SMALL, "messages": messages, "attention_width": 8}
    potential = random_potential("est", settings)
    tabulated = potential.copy()
    tabulate(tabulated)
    assert any(isinstance(module, SplineTable) for module in tabulated.modules())
    exact, found = (evaluate(p, ethanol()) for p in (potential, tabulated))
    torch.testing.assert_close(found["forces"], exact["forces"], rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lmax": 0}, "lmax = 0 must be from 1 to 64"),
        ({"num_heads": 3}, "num_channels=8 must be divisible by num_heads=3"),
        ({"messages": "so2", "attention_width": 5}, "attention_width=5 must be divisible"),
        ({"messages": "so2", "num_heads": 0}, "needs at least one head"),
        ({"messages": "mail"}, "'mail'; choose from .*filters"),
        ({"branches": "all"}, "'all'; choose from .*both"),
        ({"kernel": "linear"}, "'linear'; choose from .*polynomial"),
        ({"spherical_heads": 3}, "must be divisible by heads=3"),
        ({"mmax": -1}, "mmax = -1 must be zero or positive"),
        ({"avg_num_neighbors": None}, "needs avg_num_neighbors"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("est", {**SMALL, **settings})
