from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer.architectures import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.embedding import NUM_ELEMENTS
from ase_geomformer.potential import Potential
from ase_geomformer.testing.exemptions import Exemption
from ase_geomformer.testing.structures import ethanol, evaluate, graph_of, triclinic
from ase_geomformer.testing.suite import ArchitectureSuite, random_potential

SMALL = {
    "cutoff": 3.8,
    "num_features": 12,
    "num_layers": 2,
    "num_heads": 2,
    "num_radial_basis": 8,
    "radial_width": 10,
    "spherical_width": 6,
}
NONLOCAL = {**SMALL, "nonlocal_cutoff": "uniform"}


class TestSo3krates2022(ArchitectureSuite):
    """Softened, local, and only products of even parity: all promises are kept."""

    name = "so3krates-2022"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "standard": SMALL,
        "everything": {
            **SMALL,
            "degrees": (0, 1, 2),
            "softening": 0.5,
            "radial_basis": "bernstein",
            "cutoff_function": "exponential",
            "feature_layer_norm": True,
            "geometry_layer_norm": True,
            "atomic_scales": True,
            "atomic_shifts": True,
        },
    }
    # Nothing reads the Euclidean variables after the last layer.
    idle_parameters = ("layers.1.geometry_norm_2.scale",)


CUSP = (
    "norms have a cusp where surroundings are symmetric, and where two atoms have the same "
    "surroundings: there the direction of the gradient is that of rounding errors. "
)
STEP = "the mean direction of the neighbours is 1 / 1 up to the last of them, and then 0: "


class TestPublished(ArchitectureSuite):
    """The singular norms and initial means of the paper, and products of all parities."""

    name = "so3krates-2022"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {**SMALL, "softening": 0.0, "parity": False}
    }
    exemptions = (
        Exemption("force_constants_at_symmetric_sites", CUSP + "Measured: 1e15 to 1e34 eV/Å^2"),
        Exemption(
            "no_force_in_a_perfect_crystal", CUSP + "Measured: up to 0.09 eV/Å", rounding=True
        ),
        Exemption("supercells", CUSP + "Measured: forces differ by up to 6e-3 of the largest"),
        Exemption(
            "batch_is_its_structures", CUSP + "Measured, ammonium: forces by 6e-2", rounding=True
        ),
        Exemption("float32_is_close_to_float64", CUSP + "Measured, ammonium: forces by 8e-1"),
        Exemption(
            "radial_tables",
            CUSP + "Measured, ammonium: forces by more than 1e-5 eV/Å, or less",
            rounding=True,
        ),
        Exemption(
            "permutations",
            CUSP + "Measured: forces differ by 2e-4 of the largest",
            {"structure": ("crystal",)},
        ),
        Exemption(
            "weight_gradients_of_a_force_loss", CUSP + "Measured: off by factors", rounding=True
        ),
        Exemption(
            "forces_are_the_slope_of_the_energy",
            "so near the cusp, at tetrahedral carbon, that central differences err by 4e-6",
            {"structure": ("molecule",)},
        ),
        Exemption(
            "hessian_is_the_slope_of_the_forces",
            "so near the cusp, at tetrahedral carbon, that central differences err by 1e-5",
            {"structure": ("molecule",)},
        ),
        Exemption("dimer_through_the_cutoff", STEP + "energies jump by 0.24 (H2), 0.31 eV (CO)"),
        Exemption(
            "rotations_and_reflections",
            "products of odd l1 + l2 + L turn sign under reflections where the degree they add to "
            "does not: energies of mirror images differ by 5e-5 of the largest",
            {"operation": ("inversion", "mirror", "rotation-reflection")},
        ),
        Exemption("neighbour_entering_a_cluster", STEP + "the energy of the atom entering jumps"),
    )


PIECE = "periodic structures are refused; the piece of a crystal it is given instead "


class TestNonlocal(ArchitectureSuite):
    """Attention to atoms that are alike, among all of an open structure."""

    name = "so3krates-2022"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"nonlocal": NONLOCAL}
    exemptions = (
        Exemption("supercells", PIECE + "has a surface, and its softmax runs over all atoms"),
        Exemption(
            "force_constants_at_symmetric_sites", PIECE + "has slopes of up to 0.07 eV/Å at rest"
        ),
        Exemption("no_force_in_a_perfect_crystal", PIECE + "has forces of up to 0.07 eV/Å"),
        Exemption(
            "distant_molecules_do_not_know_each_other",
            "the softmax runs over the atoms of both: energies of two molecules 50 Å apart differ "
            "by 0.2 % of the largest from those alone",
        ),
    )


def test_size_is_the_published_one() -> None:
    """0.7 million are quoted in the field; the original's table ends at einsteinium."""
    model = build("so3krates-2022")
    rows_more = NUM_ELEMENTS - 100
    assert model.num_parameters - rows_more * model.settings.num_features == 715_435


def chain(turn: float) -> Atoms:
    """Cumulene of twelve carbon atoms, 15 Å long, one end group turned by an angle in degrees."""
    carbons = np.zeros((12, 3))
    carbons[:, 2] = 1.28 * np.arange(12)
    ends = []
    for z, angle in ((-0.55, 0.0), (carbons[-1, 2] + 0.55, np.deg2rad(turn))):
        across = 0.93 * np.array([np.cos(angle), np.sin(angle), 0.0])
        ends += [across + [0, 0, z], -across + [0, 0, z]]
    return Atoms("C12H4", positions=np.vstack([carbons, ends]))


@pytest.mark.parametrize("settings", [SMALL, NONLOCAL], ids=["local", "nonlocal"])
def test_turn_of_the_far_end_is_felt_only_without_locality(settings: dict[str, Any]) -> None:
    """The first carbon is 14 Å from the end that turns, its receptive field 2 x 3 Å."""
    potential = random_potential("so3krates-2022", {**settings, "cutoff": 3.0})
    flat, turned = (evaluate(potential, chain(turn)) for turn in (0.0, 90.0))
    change = (turned["energies"] - flat["energies"])[0].abs()
    if settings is SMALL:
        assert change < 1e-12
    else:
        assert change > 1e-6


def test_periodic_structure_is_refused_without_locality() -> None:
    potential = random_potential("so3krates-2022", NONLOCAL)
    assert potential.far_cutoff == np.inf
    with pytest.raises(ValueError, match="pairs of a periodic structure are infinitely many"):
        AtomGraph.from_atoms(
            triclinic(potential.cutoff), potential.cutoff, far_cutoff=potential.far_cutoff
        )


def test_graph_without_far_pairs_is_refused() -> None:
    potential = random_potential("so3krates-2022", NONLOCAL)
    with pytest.raises(ValueError, match="build it with far_cutoff=potential.far_cutoff"):
        potential(AtomGraph.from_atoms(ethanol(), potential.cutoff))


def test_far_pairs_of_others_do_not_matter() -> None:
    """A local potential gives the same with them, as terms of known form may need them."""
    torch.manual_seed(0)
    potential = Potential(build("so3krates-2022", SMALL), ["H", "C", "O"])
    without = potential(graph_of(potential, ethanol()))
    given = potential(AtomGraph.from_atoms(ethanol(), potential.cutoff, far_cutoff=np.inf))
    assert torch.equal(given["forces"], without["forces"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_features": 13}, "num_features=13 must be divisible"),
        ({"degrees": (2, 1)}, r"degrees must be sorted and not negative, not \(2, 1\)"),
        ({"cutoff_function": "step"}, "'step'; choose from .*quintic"),
        ({"softening": -0.1}, r"softening = -0\.1 must be zero or positive"),
        (
            {"nonlocal_cutoff": "1/N"},
            "nonlocal_cutoff = '1/N' must be a finite number or uniform or null",
        ),
        ({"nonlocal_cutoff": 0.0}, r"nonlocal_cutoff = 0\.0 must be positive"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("so3krates-2022", {**SMALL, **settings})
