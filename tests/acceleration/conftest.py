from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ase_geomformer.acceleration import build
from ase_geomformer.acceleration.artifact import Artifact
from ase_geomformer.machine.cache import Cache
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
    build.build(small, Path(file))
    return Artifact(file, small, "key")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cache:
    monkeypatch.setenv("ASE_GEOMFORMER_CACHE", str(tmp_path / "cache"))
    return Cache()


@pytest.fixture
def builds(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> list[Potential]:
    """What is compiled from now on, without the time that it takes."""
    built: list[Potential] = []

    def quick(potential: Potential, file: Path) -> None:
        built.append(potential)
        shutil.copyfile(artifact.file, file)

    monkeypatch.setattr(build, "build", quick)
    return built
