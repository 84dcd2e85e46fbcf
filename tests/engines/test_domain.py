"""A structure divided into domains gives what the whole gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from ase_geomformer.architectures.base import build
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.engines import domain
from ase_geomformer.engines.domain import check_divisible
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.registry import list_potentials
from ase_geomformer.runtime.prepared import PreparedPotential, prepare
from ase_geomformer.testing.structures import familiar
from tests.engines.domains import evaluate_divided

TOLERANCE = 1e-10  # eV, eV/Å

CUTOFF = {"cutoff": 3.0}
NEIGHBOURS = {"avg_num_neighbors": 8.0}
ARCHITECTURES = {
    "so3krates": ("so3krates", {**CUTOFF, **NEIGHBOURS, "num_features": 24, "num_layers": 2,
        "degrees": (1, 2), "num_heads": 2}),
    "so3krates-charged": ("so3krates", {**CUTOFF, **NEIGHBOURS, "num_features": 24,
        "num_layers": 2, "degrees": (1, 2), "num_heads": 2, "charge_embedding": True,
        "spin_embedding": True, "charge_width": 8, "hirshfeld_width": 8}),
    "so3krates-dense": ("so3krates-dense", {**CUTOFF, "num_features": 24, "num_layers": 2,
        "degrees": (0, 1, 2), "num_heads": 2, "initial_normalization": 3.0}),
    "so3krates-2022": ("so3krates-2022", {**CUTOFF, "num_features": 24, "num_layers": 2,
        "degrees": (1, 2), "num_heads": 2, "radial_width": 8, "spherical_width": 8}),
    "geomformer": ("geomformer", {**CUTOFF, "num_features": 16, "num_blocks": 2,
        "num_heads": 2}),
    "est": ("est", {**CUTOFF, **NEIGHBOURS, "num_channels": 8, "num_layers": 2, "num_heads": 2,
        "charge_width": 8}),
    "est-so2": ("est", {**CUTOFF, **NEIGHBOURS, "num_channels": 8, "num_layers": 1,
        "messages": "so2", "attention_width": 8, "num_heads": 2}),
}  # fmt: skip


def fresh(name: str, terms: dict | None = None) -> PreparedPotential:
    architecture, settings = ARCHITECTURES[name]
    torch.manual_seed(1)
    potential = Potential(
        build(architecture, settings),
        ["H", "C", "O", "Si", "Mg"],
        energy_scale=10.0,
        terms=build_terms(terms or {}),
    ).double()
    return prepare(potential, dtype="float64", compile=False, long_range="published")


def rattled(atoms: Atoms) -> Atoms:
    atoms.rattle(0.1, seed=3)
    return atoms


def structures() -> dict[str, Atoms]:
    triclinic = bulk("Si") * (3, 2, 2)
    triclinic.set_cell(triclinic.cell.array @ (np.eye(3) + [[0, 0.1, 0], [0, 0, 0.05], [0, 0, 0]]),
                       scale_atoms=True)  # fmt: skip
    slab = fcc111("Al", (2, 3, 3), a=4.2, vacuum=5.0)
    slab.symbols = "Mg18"
    return {
        "crystal": rattled(bulk("Si", cubic=True) * (2, 1, 1)),
        "small cell": rattled(bulk("Si")),
        "triclinic": rattled(triclinic),
        "oxide": rattled(bulk("MgO", "rocksalt", a=4.2, cubic=True)),
        "slab": rattled(slab),
        "molecule": rattled(molecule("CH3CH2OH")),
    }


STRUCTURES = structures()


def slices(atoms: Atoms, size: int) -> np.ndarray:
    """Domains along the first axis of inertia, so that they differ in size."""
    place = atoms.get_scaled_positions()[:, 0] if atoms.pbc[0] else atoms.positions[:, 0]
    edges = np.quantile(place, np.linspace(0.0, 1.0, size + 1)[1:-1] ** 1.3)
    return np.searchsorted(edges, place)


def check(prepared: PreparedPotential, atoms: Atoms, owners, size: int, mode="exchange", **kw):
    whole = PotentialCalculator(prepared)
    results, forces = evaluate_divided(prepared, atoms, owners, size, mode, **kw)
    expected = whole.get_property("forces", atoms)
    assert np.abs(expected).max() > 1e-3
    assert abs(results[0].energy - whole.get_property("energy", atoms)) < TOLERANCE
    assert len({result.energy for result in results}) == 1
    np.testing.assert_allclose(forces, expected, rtol=0.0, atol=TOLERANCE)
    if atoms.cell.rank == 3:
        stress = results[0].virial / atoms.get_volume()
        voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        np.testing.assert_allclose(voigt, whole.get_property("stress", atoms), atol=TOLERANCE)
    if results[0].charges is not None:
        charges = np.zeros(len(atoms))
        for rank, result in enumerate(results):
            charges[owners == rank] = result.charges
        np.testing.assert_allclose(charges, whole.get_property("charges", atoms), atol=TOLERANCE)


@pytest.mark.parametrize("mode", ["exchange", "deep"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture(name, mode):
    prepared = fresh(name)
    for atoms in (STRUCTURES["crystal"], STRUCTURES["molecule"]):
        check(prepared, atoms, slices(atoms, 2), 2, mode)


@pytest.mark.parametrize("mode", ["exchange", "deep"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_kind_of_structure(structure, mode):
    atoms = STRUCTURES[structure].copy()
    atoms.info["charge"] = 1.0
    size = min(3, len(atoms))
    check(fresh("so3krates-charged", {"zbl": {"covalent_fraction": 0.9}}), atoms,
          slices(atoms, size), size, mode)  # fmt: skip


@pytest.mark.parametrize("mode", ["exchange", "deep"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_empty_domain(name, mode):
    atoms = STRUCTURES["molecule"]
    check(fresh(name), atoms, 2 * slices(atoms, 2), 3, mode)


def test_more_images_than_are_needed_change_nothing():
    atoms = STRUCTURES["crystal"]
    check(fresh("est"), atoms, slices(atoms, 2), 2, "exchange", margin=1.0)
    check(fresh("est"), atoms, slices(atoms, 2), 2, "deep", margin=1.0)


def test_scattered_domains():
    atoms = STRUCTURES["oxide"]
    check(fresh("geomformer"), atoms, np.arange(len(atoms)) % 3, 3)


@pytest.mark.parametrize(
    "terms",
    [
        {"electrostatics": {"long_range_cutoff": 6.0}, "dispersion": {"long_range_cutoff": 6.0}},
        {"electrostatics": {"long_range_cutoff": 5.0, "truncation": "published"}},
    ],
)
@pytest.mark.parametrize("structure", ["oxide", "small cell", "molecule"])
def test_charges_and_dispersion_within_a_cutoff(structure, terms):
    atoms = STRUCTURES[structure]
    size = min(3, len(atoms))
    check(fresh("so3krates-charged", terms), atoms, slices(atoms, size), size)


@pytest.mark.parametrize("name", list_potentials())
def test_every_shipped_potential(name):
    """In three domains, one of them empty."""
    prepared = prepare(name, dtype="float64", compile=False, long_range="published")
    atoms = familiar(prepared.potential)
    check(prepared, atoms, 2 * slices(atoms, 2), 3)


@pytest.mark.parametrize("wanted", [True, False])
def test_freed_memory_is_kept_as_by_the_calculator(monkeypatch, wanted):
    """Asking the system for it anew at each step takes an eighth of the time of a domain."""
    asked = []
    monkeypatch.setattr(
        "ase_geomformer.runtime.prepared.keep_freed_memory", lambda: asked.append(1)
    )
    atoms = STRUCTURES["crystal"]
    evaluate_divided(fresh("est").with_settings(keep_memory=wanted), atoms, slices(atoms, 2), 2)
    assert bool(asked) is wanted


def test_nan_in_one_domain_stops_all(monkeypatch):
    prepared = fresh("so3krates")
    atoms = STRUCTURES["crystal"].copy()
    atoms.positions[1] = atoms.positions[0]
    stopped = []

    original = domain.DomainEvaluator.__call__

    def watched(self, graph, num_local):
        graph = self._moved(graph)
        if self.messenger.rank == 0:
            graph.edge_vectors[0] = torch.nan
        try:
            return original(self, graph, num_local)
        except FloatingPointError as error:
            stopped.append(str(error))
            return None

    monkeypatch.setattr(domain.DomainEvaluator, "__call__", watched)
    evaluate_divided(prepared, atoms, slices(atoms, 3), 3)
    assert len(stopped) == 3
    assert all("not finite in" in text for text in stopped)


class TestRefused:
    def test_all_pairs(self):
        architecture = build("geomformer", {"attention": "all-pairs", "num_features": 16,
            "num_heads": 2, "num_blocks": 1})  # fmt: skip
        with pytest.raises(ValueError, match=r"geomformer .* cannot be divided"):
            check_divisible(Potential(architecture, ["H"]))

    @pytest.mark.parametrize(
        ("terms", "named"),
        [
            ({"ewald": {}}, "'ewald' sums over the reciprocal lattice"),
            ({"electrostatics": {"long_range_cutoff": None}}, "'electrostatics' sums over all"),
        ],
    )
    def test_sums_over_the_whole_structure(self, terms, named):
        with pytest.raises(ValueError, match=named):
            check_divisible(fresh("so3krates-charged", terms).potential)

    def test_far_pairs_in_deep_mode(self):
        terms = {"electrostatics": {"long_range_cutoff": 6.0}}
        with pytest.raises(ValueError, match="needs mode exchange"):
            check_divisible(fresh("so3krates-charged", terms).potential, "deep")

    def test_an_unknown_mode(self):
        with pytest.raises(ValueError, match="'wide'; choose from exchange, deep"):
            check_divisible(fresh("so3krates").potential, "wide")
