from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from ase_geomformer.architectures import build
from ase_geomformer.architectures.geomformer.settings import SIZES
from ase_geomformer.layers.embedding import NUM_ELEMENTS
from ase_geomformer.potential import Potential
from ase_geomformer.testing.exemptions import Exemption
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.structures import SYMBOLS, ethanol, graph_of
from ase_geomformer.testing.suite import ArchitectureSuite
from tests.architectures.geomformer.small import SMALL

# Exponentials of logits up to twice the bound lose more digits than filters do: in float32 forces
# differ by up to 1.4e-5 of the largest. Degree 3 makes diamond more anharmonic: -F/u changes by
# 8.9 % with u = 0.01 Å, and linearly with u down to 1e-7 Å. Both measured on these weights.
LIMITS = Limits(float32_forces=3e-5, anharmonicity=0.12)


class TestGeoMFormer(ArchitectureSuite):
    name = "geomformer"
    limits = LIMITS
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        # As shipped, in small.
        "standard": SMALL,
        "published": {**SIZES["1M"], **SMALL, "num_blocks": 1},
        "everything": {
            **SMALL,
            "max_degree": 3,
            "degree_weights": False,
            "ffn_width": 24,
            "radial_basis": "gaussian",
            "cutoff_function": "exponential",
            "activation": "gelu",
            "energy_width": None,
            "atomic_shifts": False,
        },
    }


OPEN = "periodic structures are refused; the piece of a crystal it is given instead "


class TestAllPairs(ArchitectureSuite):
    """Every atom of a molecule attends to every other one."""

    name = "geomformer"
    limits = LIMITS
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "all-pairs": {**SMALL, "num_blocks": 1, "attention": "all-pairs"}
    }
    exemptions = (
        Exemption("supercells", OPEN + "has a surface"),
        Exemption("no_force_in_a_perfect_crystal", OPEN + "has a surface"),
        Exemption("force_constants_at_symmetric_sites", OPEN + "has forces at rest"),
        Exemption("dimer_through_the_cutoff", "there is no cutoff"),
        Exemption("distant_molecules_do_not_know_each_other", "there is no cutoff"),
        Exemption("no_edges", "pairs of all atoms need no edges"),
    )


@pytest.mark.parametrize(("size", "published"), [("1M", 1.0e6), ("10M", 9.4e6)])
def test_sizes_are_the_published_ones(size: str, published: float) -> None:
    """Without tables by element, and with what the last block leaves out: e is not read again."""
    model = build("geomformer", SIZES[size])
    width = model.settings.num_features
    tables = 3 * NUM_ELEMENTS * width
    unread = 9 * width**2  # equivariant cross-attention, its gate and network
    assert model.num_parameters - tables + unread == pytest.approx(published, rel=0.05)


def test_charges_sum_to_that_of_the_molecule() -> None:
    torch.manual_seed(0)
    potential = Potential(build("geomformer", {**SMALL, "charge_width": 8}), SYMBOLS)
    ion = ethanol()
    ion.info["charge"] = -1
    charges = potential(graph_of(potential, ion), ("charges",))["charges"]
    assert charges.shape == (9,)
    assert charges.sum().item() == pytest.approx(-1.0)
    assert charges.std() > 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_features": 30, "num_heads": 4}, "num_features=30 must be divisible by num_heads=4"),
        ({"max_degree": 0}, "max_degree = 0 must be from 1 to 64"),
        ({"logit_bound": 100.0}, "logit_bound = 100.0 must be positive and at most 20"),
        ({"layout": "diagonal"}, "layout = 'diagonal' must be one of parallel"),
        ({"cross_attention": "never"}, "'never' must be one of none, .*both"),
        ({"radial_basis": "chebyshev"}, "'chebyshev'; choose from .*bernstein"),
        ({"scalar_component": False}, "no force constants; use forces='direct'"),
        ({"equivariant_norm": "whitening"}, "no force constants; use forces='direct'"),
        ({"initial_vectors": "centred"}, "jumps as an atom .* use forces='direct'"),
        ({"scalar_component": False, "forces": "direct"}, "max_degree must be 1"),
        ({"equivariant_norm": "whitening", "forces": "direct"}, "is for scalar_component=False"),
        ({"initial_vectors": "centred", "forces": "direct"}, "needs attention='all-pairs'"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("geomformer", {**SMALL, **settings})
