"""Energy terms as parts of a potential."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ase import Atoms

from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import Card, load_folder, read_card, save_potential
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import TERMS, build_terms
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick

SMALL = {
    "cutoff": 4.0,
    "num_features": 8,
    "num_layers": 1,
    "num_heads": 2,
    "degrees": (1, 2),
    "num_radial_basis": 4,
    "message_normalization": "identity",
    "energy_width": None,
}


@pytest.fixture
def potential() -> Potential:
    """A small network with a repulsion that has been trained a little."""
    torch.manual_seed(0)
    terms = build_terms({"zbl": {"switch_off": 2.0}})
    with torch.no_grad():
        for parameter in terms["zbl"].parameters():
            parameter += 0.1
    architecture = build("so3krates", SMALL)
    return Potential(architecture, ["H", "C", "O"], energy_scale=0.5, terms=terms)


def test_registered_terms_are_built_with_their_defaults() -> None:
    for name, term in build_terms({name: {} for name in TERMS}).items():
        assert isinstance(term, TERMS[name])
        assert term.settings == TERMS[name].settings_class()
        assert all(parameter.dtype == torch.float64 for parameter in term.parameters())


def test_terms_add_to_the_architecture_in_electronvolt(
    potential: Potential, ethanol: Atoms
) -> None:
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    neural = potential.architecture(graph)["energies"]
    repulsion = potential.terms["zbl"](graph, {})
    assert repulsion.max() > 0.1
    found = potential(graph, ("energies",))["energies"]
    torch.testing.assert_close(found, 0.5 * neural + repulsion)


def test_copy_keeps_trained_terms(potential: Potential, ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    # Frozen as copies are: of trainable weights gradients are computed otherwise, and rounded so.
    potential.requires_grad_(False)
    copy = potential.copy()
    assert copy.terms_settings == potential.terms_settings
    assert torch.equal(copy(graph)["forces"], potential(graph)["forces"])
    with torch.no_grad():
        potential.terms["zbl"].exponents += 1.0
    assert not torch.equal(copy(graph)["forces"], potential(graph)["forces"])


def test_terms_are_saved_and_loaded(potential: Potential, ethanol: Atoms, tmp_path: Path) -> None:
    potential = potential.copy(dtype=torch.float64)
    save_potential(potential, tmp_path / "saved", Card("saved"))
    assert read_card(tmp_path / "saved").terms == potential.terms_settings
    loaded = load_folder(tmp_path / "saved")
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    assert torch.equal(loaded(graph)["forces"], potential(graph)["forces"])


def test_term_that_reaches_past_the_edges_is_refused() -> None:
    terms = build_terms({"zbl": {"switch_off": 4.5}})
    with pytest.raises(ValueError, match=r"'zbl' reaches 4.5 Å.*cutoff of 4.0 Å"):
        Potential(build("so3krates", SMALL), ["H"], terms=terms)


def test_unknown_term_or_setting_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'coulomb'.*zbl"):
        build_terms({"coulomb": {}})
    with pytest.raises(ValueError, match=r"zbl has no setting 'range'.*switch_off"):
        build_terms({"zbl": {"range": 1.0}})
