from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from ase_geomformer.architectures import So3krates, build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.testing.structures import ethanol
from ase_geomformer.testing.suite import ArchitectureSuite
from tests.architectures.so3krates.small import SMALL


class TestSo3krates(ArchitectureSuite):
    name = "so3krates"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        # As shipped, in small.
        "standard": {**SMALL, "avg_num_neighbors": 8.0},
        "everything": {
            **SMALL,
            "degrees": (0, 1, 2, 3),
            "radial_basis": "bessel",
            "cutoff_function": "exponential",
            "message_normalization": "sqrt_num_features",
            "residual_mlp_2": True,
            "qk_activation": "silu",
            "atomic_scales": True,
            "charge_embedding": True,
            "spin_embedding": True,
        },
        "bare": {
            **SMALL,
            "num_layers": 1,
            "degrees": (1,),
            "radial_basis": "gaussian",
            "message_normalization": "identity",
            "layer_norm_1": False,
            "layer_norm_2": False,
            "residual_mlp_1": False,
            "energy_width": None,
            "atomic_shifts": False,
        },
    }
    # Euclidean variables start from zero, so the first layer has no differences to filter by.
    idle_parameters = (
        "layers.0.attention.feature_filter.spherical_1.weight",
        "layers.0.attention.geometry_filter.spherical_1.weight",
    )


def test_size_of_a_layer_is_the_published_one() -> None:
    """A layer of SO3LR: F = 128, four degrees, K = 32, both norms and the first network."""
    model = build("so3krates", {"avg_num_neighbors": 13.2})
    assert sum(parameter.numel() for parameter in model.layers[0].parameters()) == 121_812


def test_charge_and_spin_are_seen_only_where_embedded() -> None:
    """Neutral singlets are told nothing; an unpaired electron and a charge change the energy."""
    torch.manual_seed(0)
    model = build("so3krates", TestSo3krates.variants["everything"])
    blind = build("so3krates", TestSo3krates.variants["bare"])

    def energies(architecture: So3krates, **info: int) -> torch.Tensor:
        atoms = ethanol()
        atoms.info.update(info)
        return architecture(AtomGraph.from_atoms(atoms, architecture.cutoff))["energies"]

    neutral = energies(model)
    assert torch.equal(energies(model, charge=0, spin=1), neutral)
    different = [energies(model, **info) for info in ({"charge": 1}, {"charge": -1}, {"spin": 2})]
    for changed in different:
        assert (changed - neutral).abs().max() > 1e-6
    assert not torch.allclose(different[0], different[1])
    assert torch.equal(energies(blind, charge=1, spin=2), energies(blind))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_features": 30}, "num_features=30 must be divisible"),
        ({"degrees": (2, 1)}, r"degrees must be sorted and not negative, not \(2, 1\)"),
        ({"degrees": ()}, r"degrees .* not \(\)"),
        ({"radial_basis": "chebyshev"}, "'chebyshev'; choose from .*bernstein"),
        ({"cutoff_function": "step"}, "'step'; choose from .*quintic"),
        ({"activation": "relu"}, "'relu'; choose from .*silu"),
        ({"avg_num_neighbors": None}, "needs avg_num_neighbors"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("so3krates", {**TestSo3krates.variants["standard"], **settings})
