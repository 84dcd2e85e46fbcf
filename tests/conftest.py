from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import setuptools  # noqa: F401 - ahead of any distutils, or torch could not compile any more
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import settings

from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import Card
from ase_geomformer.potential import Potential

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ASE_GEOMFORMER_SHARED", ROOT.parent / "shared"))
NO_SHARED = f"no reference data at {SHARED}; set ASE_GEOMFORMER_SHARED to its folder"

# pytest-xdist already fills the cores; threads on top of it would only wait for each other.
torch.set_num_threads(1)

# Tests neither find what the user has compiled nor leave anything in the user's cache.
CACHE = tempfile.TemporaryDirectory(prefix="ase-geomformer-tests-")
os.environ["ASE_GEOMFORMER_CACHE"] = str(Path(CACHE.name) / "cache")

# A busy machine must not fail a test, and a failure must come back on the next run.
settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that read the reference data: `-m "not shared"` leaves them out."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report all tests without their reference data as skipped here: in one line of the summary."""
    report = yield
    if report.skipped and item.get_closest_marker("shared") and not SHARED.is_dir():
        report.longrepr = (__file__, None, f"Skipped: {NO_SHARED}")
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data and fixtures that are too large for the repository."""
    if not SHARED.is_dir():
        pytest.skip(NO_SHARED)
    return SHARED


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python ARGUMENTS` in a fresh process; a failure shows what it wrote to stderr."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def so3lr(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The folder of SO3LR: as ``models get so3lr`` has left it, else of the reference data.

    None where neither is there.
    """
    from ase_geomformer import list_potentials
    from ase_geomformer.checkpoint.obtainable import OBTAINABLE
    from ase_geomformer.convert.get import get_potential

    if "so3lr" in list_potentials():
        return list_potentials()["so3lr"]
    original = SHARED / "fixtures" / "so3krates" / "so3lr" / "weights_flax.safetensors"
    if not original.is_file():
        return None
    folder = tmp_path_factory.mktemp("so3lr")
    return get_potential(OBTAINABLE["so3lr"], folder, original).folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def ethanol() -> Atoms:
    """An isolated molecule."""
    return molecule("CH3CH2OH")


@pytest.fixture
def silicon(rng: np.random.Generator) -> Atoms:
    """A periodic crystal of 8 atoms, off its symmetric sites so that no force vanishes."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
    return atoms


@pytest.fixture
def water_box(rng: np.random.Generator) -> Atoms:
    """Eight water molecules, randomly turned, in a periodic cube at the density of the liquid."""
    box = Atoms(cell=np.full(3, 6.21), pbc=True)
    for corner in np.ndindex(2, 2, 2):
        water = molecule("H2O")
        water.rotate(rng.uniform(0, 360), rng.normal(size=3), center="COM")
        water.translate((np.array(corner) + 0.5) * 3.105 - water.get_center_of_mass())
        box += water
    return box


@pytest.fixture(scope="session")
def make_potential() -> Callable[..., Potential]:
    """A small So3krates with random weights in float64; keyword arguments change its settings."""

    def make(
        elements: str = "H C O Si",
        *,
        seed: int = 0,
        energy_scale: float = 10.0,
        reference_energies: Mapping[str, float] | None = None,
        card: Card | None = None,
        **settings: Any,
    ) -> Potential:
        small = {
            "num_features": 32,
            "num_layers": 2,
            "num_heads": 2,
            "degrees": (1, 2),
            "num_radial_basis": 8,
            "energy_width": 16,
            "avg_num_neighbors": 8.0,
            "charge_embedding": True,
            "spin_embedding": True,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            architecture = build("so3krates", {**small, **settings})
        return Potential(
            architecture,
            elements.split(),
            energy_scale=energy_scale,
            reference_energies=reference_energies,
            card=card,
        )

    return make


@pytest.fixture
def potential(make_potential: Callable[..., Potential]) -> Potential:
    """A small So3krates with random weights."""
    return make_potential()


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    """Client of a Dask cluster of two workers in processes of their own."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
