from __future__ import annotations

from typing import Any, ClassVar

import pytest

from ase_geomformer.architectures import build
from ase_geomformer.layers.embedding import NUM_ELEMENTS
from ase_geomformer.testing.suite import ArchitectureSuite

SMALL = {"cutoff": 3.8, "num_features": 16, "num_layers": 2, "num_heads": 2, "num_radial_basis": 8}


class TestSo3kratesDense(ArchitectureSuite):
    name = "so3krates-dense"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        # The paper's, in small.
        "standard": SMALL,
        "radial": {**SMALL, "num_layers": 1, "degrees": (0,), "spherical_filter": False},
    }
    # Euclidean variables that start from zero give the first layer no differences to filter by.
    idle_parameters = (
        "layers.0.attention.feature_filter.spherical_1.weight",
        "layers.0.attention.geometry_filter.spherical_1.weight",
    )


class TestSo3kratesDenseFromNeighbours(ArchitectureSuite):
    """Euclidean variables that start from the neighbours' directions; and all other options."""

    name = "so3krates-dense"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "everything": {
            **SMALL,
            "degrees": (1, 2),
            "radial_basis": "bernstein",
            "cutoff_function": "exponential",
            "radial_width": 12,
            "spherical_width": 6,
            "initial_normalization": 6.0,
            "layer_norm": True,
            "residual_mlp_1": True,
            "residual_mlp_2": True,
            "atomic_scales": True,
            "atomic_shifts": True,
            "rounded_constants": True,
        },
    }


@pytest.mark.parametrize(("degrees", "published"), [((0, 1, 2, 3), 311_515), ((0,), 386_899)])
def test_size_is_the_published_one(degrees: tuple[int, ...], published: int) -> None:
    """The Euclidean transformer and its invariant control, whose tables end at einsteinium."""
    model = build("so3krates-dense", {"degrees": degrees})
    rows_more = NUM_ELEMENTS - 100
    assert model.num_parameters - rows_more * model.settings.num_features == published


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_features": 30}, "num_features=30 must be divisible"),
        ({"degrees": (2, 1)}, r"degrees must be sorted and not negative, not \(2, 1\)"),
        ({"radial_basis": "chebyshev"}, "'chebyshev'; choose from .*bernstein"),
        ({"cutoff_function": "step"}, "'step'; choose from .*quintic"),
        ({"initial_normalization": 0.0}, r"initial_normalization = 0\.0 must be positive"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("so3krates-dense", {**SMALL, **settings})
