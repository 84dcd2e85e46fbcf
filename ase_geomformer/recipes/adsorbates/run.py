"""Adsorption: from a slab and a molecule to sites, relaxed structures, energies and files."""

from __future__ import annotations

import os
from typing import Unpack

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.geometry import find_mic

from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.adsorbates import figure
from ase_geomformer.recipes.adsorbates.placing import (
    as_adsorbate,
    check_slab,
    placed,
    prepared,
)
from ase_geomformer.recipes.adsorbates.result import Adsorbed, AdsorptionResult
from ase_geomformer.recipes.adsorbates.settings import AdsorptionSettings
from ase_geomformer.recipes.adsorbates.sites import Site, find_sites, frame_of
from ase_geomformer.recipes.base import PotentialLike, Run, RunKeywords
from ase_geomformer.recipes.constraints import forbidden_directions
from ase_geomformer.recipes.isolated import VACUUM_A, extrapolated
from ase_geomformer.recipes.relaxation.batch import relax_all
from ase_geomformer.recipes.relaxation.result import RelaxResult
from ase_geomformer.recipes.relaxation.settings import USUAL_STEPS
from ase_geomformer.recipes.relaxation.store import FINISHED_FILE, RelaxStore
from ase_geomformer.runs.folder import FINAL_FILES
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.structures import StructureLike, as_structure

ADSORBED_FILE = "adsorbed.traj"
FIGURE_FILE = "adsorption.png"
KEPT = (FINISHED_FILE,)


@takes_pymatgen()
def adsorption(
    slab: StructureLike,
    potential: PotentialLike,
    settings: AdsorptionSettings | None = None,
    *,
    adsorbate: Atoms | str | os.PathLike[str],
    **keywords: Unpack[RunKeywords],
) -> AdsorptionResult:
    """Adsorption energies of a molecule or atom on all sites of a slab.

    The sites of the upper face (on top of atoms, bridges, hollows) are reduced by the symmetry of
    the slab. The adsorbate is put on each, and these structures, the clean slab and the adsorbate
    on its own relax in one batch.

    Parameters
    ----------
    slab : ase.Atoms or path
        Periodic along its first two cell vectors, with empty space above; repeated until adsorbates
        are ``min_length_A`` apart. Its constraints are honoured; without any, its lower part is
        held.
    potential : str, path, Potential, ASE calculator or Evaluator
    settings : AdsorptionSettings, optional
    adsorbate : ase.Atoms, path or str
        A structure, an element, or a molecule that ASE knows, such as "CO".
    **keywords
        :class:`~ase_geomformer.recipes.base.RunKeywords`; ``output`` receives ``adsorbed.traj``
        (one structure by site, in the order of their energies), ``final.extxyz`` and ``final.traj``
        (the lowest), ``adsorption.png``, ``settings.yaml`` and ``result.json``. A run that was
        killed resumes with the structures that were not finished (``finished.jsonl``).

    Returns
    -------
    AdsorptionResult

    Raises
    ------
    ValueError
        If there is no slab, or nothing that can be put on it.
    FileExistsError
        If the output folder is not empty.
    """
    settings = settings or AdsorptionSettings()
    run = Run(potential, settings, **keywords)
    clean, guest = as_structure(slab), as_adsorbate(adsorbate)
    for atoms in (clean, guest):
        geometry(atoms)  # refuses positions that are not finite
    check_slab(clean)
    forbidden_directions(clean, "move under an adsorbate")  # refuses constraints by name
    if settings.binding_atom >= len(guest):
        raise ValueError(
            f"binding_atom = {settings.binding_atom} must be below {len(guest)}, the number of "
            f"atoms of {guest.symbols}"
        )
    alone = Atoms(guest.numbers, positions=guest.positions)
    alone.info.update(guest.info)
    alone.center(vacuum=VACUUM_A)  # for calculators that need a box
    sites = find_sites(clean, settings.layer_A, settings.symprec_A)
    cell = clean.cell.complete()
    clean = prepared(clean, settings)
    starts = [clean, alone, *(placed(clean, guest, one.points[0], settings) for one in sites)]
    run.foresee(starts[2:], USUAL_STEPS)
    folder = run.start((*KEPT, ADSORBED_FILE, *FINAL_FILES, FIGURE_FILE), kept=KEPT)
    store = RelaxStore(folder.file(FINISHED_FILE), starts)
    with run.bar("adsorption", len(starts), len(store.finished)) as advance:
        relaxed = relax_all(starts, run.evaluator, settings.of_atoms, advance, store)
    bare, molecule, *both = relaxed
    reference = molecule.energy if settings.reference_eV is None else settings.reference_eV
    if settings.reference_eV is None and len(guest) == 1:
        run.note(extrapolated(run.evaluator).replace("atom_energies", "reference_eV"))
    binding = len(clean) + settings.binding_atom
    adsorbed = [
        _adsorbed(one, found, bare, reference, binding, _nearest(binding, found, sites, cell))
        for one, found in zip(sites, both, strict=True)
    ]
    adsorbed.sort(key=lambda one: (bool(one.problem), one.adsorption_energy_eV))
    problems = [f"{one.site.name}: {one.problem}" for one in adsorbed if one.problem]
    problems += [f"clean slab: {bare.reason}"] * (not bare.converged)
    problems += [f"adsorbate: {molecule.reason}"] * (not molecule.converged)
    result = AdsorptionResult(
        **run.outcome(not problems, "; ".join(problems) or f"{len(sites)} kinds of sites"),
        adsorbed=adsorbed,
        slab=bare.atoms,
        slab_energy_eV=bare.energy,
        adsorbate=molecule.atoms,
        reference_eV=reference,
    )
    folder.save_atoms(ADSORBED_FILE, [one.atoms for one in adsorbed])
    folder.save_final(adsorbed[0].atoms)
    folder.save_figure(FIGURE_FILE, lambda: figure.plot(result))
    return run.finish(result, f"{guest.symbols} on {clean.symbols.formula.reduce()[0]}")


def _adsorbed(
    site: Site,
    found: RelaxResult,
    bare: RelaxResult,
    reference: float,
    binding: int,
    ends_at: str,
) -> Adsorbed:
    slab = bare.atoms
    normal = frame_of(slab)[2]
    place = found.atoms.positions[binding]
    fine = found.converged and found.damage is None
    return Adsorbed(
        site=site,
        ends_at=ends_at,
        adsorption_energy_eV=found.energy - bare.energy - reference,
        height_A=float(place @ normal - (slab.positions @ normal).max()),
        atoms=found.atoms,
        problem="" if fine else found.damage or found.reason,
    )


def _nearest(number: int, found: RelaxResult, sites: list[Site], cell: Cell) -> str:
    """Name of the site that an atom of the relaxed structure is next to, along the surface."""
    place = found.atoms.positions[number]
    normal = frame_of(found.atoms)[2]
    distances = []
    for site in sites:
        away = site.points - place
        away -= np.outer(away @ normal, normal)
        distances.append(float(find_mic(away, cell, [True, True, False])[1].min()))
    return sites[int(np.argmin(distances))].name
