from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ase_geomformer.acceleration.artifact import Artifact
from ase_geomformer.acceleration.build import build
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential


@pytest.fixture(scope="session")
def small(make_potential: Callable[..., Potential]) -> Potential:
    """Few operations, so that it compiles fast; with a further energy term."""
    potential = make_potential(
        cutoff=3.0,
        num_layers=1,
        num_features=16,
        degrees=(1,),
        charge_embedding=False,
        spin_embedding=False,
    )
    potential.terms["zbl"] = build_terms({"zbl": {}})["zbl"]
    return potential.copy()


@pytest.fixture(scope="session")
def artifact(small: Potential, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Its compiled code, which takes half a minute."""
    file = tmp_path_factory.mktemp("artifact") / "potential.so"
    build(small, Path(file))
    return Artifact(file, small, "key")
