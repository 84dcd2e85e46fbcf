"""Approximately equivariant potentials say so, with the noise of their forces."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ase import Atoms

from ase_geomformer.accuracy.readme.page import write_readme
from ase_geomformer.accuracy.rotation import rotation_error
from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import Card, read_card, save_potential
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick


def est(kernel: str) -> Potential:
    torch.manual_seed(0)
    settings = {
        "cutoff": 4.0, "num_channels": 8, "num_layers": 1, "num_radial_basis": 6, "radial_width": 8,
        "steerable_width": 8, "spherical_width": 8, "energy_width": 8, "avg_num_neighbors": 10.0,
        "kernel": kernel,
    }  # fmt: skip
    architecture = build("est", settings)
    with torch.no_grad():
        for parameter in architecture.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return Potential(architecture, ["H", "C", "O", "Si"]).requires_grad_(False).eval()


@pytest.mark.parametrize(("kernel", "lowest", "highest"), [
    ("polynomial", 0.0, 1e-12),
    ("published", 1e-4, 1.0),
])  # fmt: skip
def test_noise_of_the_forces(
    kernel: str, lowest: float, highest: float, ethanol: Atoms, silicon: Atoms
) -> None:
    assert lowest <= rotation_error(est(kernel), [ethanol, silicon]) <= highest


@pytest.mark.parametrize("kernel", ["polynomial", "published"])
def test_the_card_says_which(kernel: str, ethanol: Atoms, tmp_path: Path) -> None:
    save_potential(est(kernel), tmp_path / "est", Card("est"), [ethanol])
    exact = kernel == "polynomial"
    assert read_card(tmp_path / "est").exact_equivariance == exact
    readme = write_readme(tmp_path / "est").read_text(encoding="utf-8")
    assert ("invariant under rotation only approximately" in readme) != exact
