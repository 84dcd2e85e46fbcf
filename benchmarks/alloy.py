"""Elasticity of the equimolar alloy Mo-Nb-Ta-W, and errors by group, beside the published SNAP.

Random alloys on the bcc lattice, several of each size, and the four metals, relaxed and strained by
the recipe ``elastic``. Beside them stand PBE, by the strained frames of the data, and the SNAP of
Li, Chen, Zheng, Zuo, Ong, npj Comput. Mater. 6, 70 (2020), for the very same structures. From the
root of a checkout with the data beside it:

    python benchmarks/alloy.py --output docs/benchmarks/alloy.json --page docs/est.md \\
        --snap FOLDER/Ta-W-Nb-Mo.snap

SNAP needs the Python module of LAMMPS with its package ML-SNAP, and the files ``.snapcoeff`` and
``.snapparam`` of github.com/materialsvirtuallab/maml (mvl_models/pes/MoNbTaW/snap.2020.06), the
latter without its line ``diagonalstyle``, which LAMMPS no longer knows.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.units import GPa
from marked import with_table
from numpy.typing import NDArray
from strained import fit, strained
from timing import machine

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import ElasticSettings, elastic
from ase_geomformer.runs.plain import to_json

POTENTIAL = "est-monbtaw"
METALS = ("Mo", "Nb", "Ta", "W")
LATTICE_A = 3.24
# Conventional cells along each axis, and how many random alloys of that size.
SIZES = {3: 6, 4: 4}
CONSTANTS = {
    "lattice_constant_A": ("a (Å)", ".3f"),
    "C11_GPa": ("C11 (GPa)", ".0f"),
    "C12_GPa": ("C12 (GPa)", ".0f"),
    "C44_GPa": ("C44 (GPa)", ".0f"),
    "zener": ("2 C44 / (C11 − C12)", ".2f"),
}


def main() -> None:
    """Measure, show and write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--snap", help="path of the SNAP's files without their ends; or no SNAP")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--show", type=Path, help="do not measure: take such a file")
    parser.add_argument("--page", type=Path, help="page to write the tables into")
    options = parser.parse_args()
    if options.show is not None:
        found = json.loads(options.show.read_text(encoding="utf-8"))
    else:
        found = measured(options.snap)
    tables = {
        "elasticity": elastic_table(found["elasticity"]),
        "errors": error_table(found["errors"]),
    }
    print(*tables.values(), sep="\n\n")
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), **found}))
    if options.page is not None:
        for name, text in tables.items():
            page = options.page.read_text(encoding="utf-8")
            write_text(options.page, with_table(page, f"benchmarks/alloy.py, {name}", text))


def measured(snap_files: str | None) -> dict[str, Any]:
    """Elasticity and errors of the potential, and of SNAP where its files are given."""
    torch.set_num_threads(1)
    evaluator = BatchEvaluator(POTENTIAL, device="cpu", dtype="float64", domain="ignore")
    potentials: dict[str, Any] = {POTENTIAL: evaluator}
    if snap_files is not None:
        potentials["SNAP"] = snap(snap_files)
    rows = [row for name, one in potentials.items() for row in elasticity(name, one)]
    return {"elasticity": rows + pbe(), "errors": by_group(potentials)}


def snap(stem: str) -> Calculator:
    """The published SNAP; its energies are those of LAMMPS, without the atoms' own."""
    from ase.calculators.lammpslib import LAMMPSlib

    return LAMMPSlib(
        lmpcmds=["pair_style snap", f"pair_coeff * * {stem}coeff {stem}param {' '.join(METALS)}"],
        atom_types={metal: place for place, metal in enumerate(METALS, start=1)},
        keep_alive=True,
        log_file=None,
    )


def random_alloy(lattice: Atoms, seed: int) -> Atoms:
    """A lattice with as many atoms of each metal, those left over of metals that differ by seed."""
    alloy = lattice.copy()
    symbols = np.resize(np.roll(METALS, seed), len(alloy))
    alloy.symbols = np.random.default_rng(seed).permutation(symbols)
    return alloy


def elasticity(name: str, potential: Any) -> list[dict[str, Any]]:
    """Of the four metals, their mean, and random alloys: means, and spreads over them."""
    metals = [cubic(bulk(metal, "bcc", a=LATTICE_A, cubic=True), potential) for metal in METALS]
    rows = [row(metal, name, [one]) for metal, one in zip(METALS, metals, strict=True)]
    rows.append({**row("mean of the four", name, metals), "spread": None})
    for repeat, count in SIZES.items():
        lattice = bulk("Mo", "bcc", a=LATTICE_A, cubic=True) * repeat
        found = [cubic(random_alloy(lattice, seed), potential) for seed in range(count)]
        rows.append(row(f"alloy, {count} cells of {len(lattice)} atoms", name, found))
    return rows


def cubic(atoms: Atoms, potential: Any) -> dict[str, float]:
    """Constants of a cubic lattice: means over what its symmetry would make equal."""
    found = elastic(atoms, potential, ElasticSettings(fmax=1e-3, points=3), progress=False)
    c = found.constants_GPa
    repeat = round((len(atoms) / 2) ** (1 / 3))
    return constants(
        found.atoms.get_volume() ** (1 / 3) / repeat,
        float(np.mean([c[0, 0], c[1, 1], c[2, 2]])),
        float(np.mean([c[0, 1], c[0, 2], c[1, 2]])),
        float(np.mean([c[3, 3], c[4, 4], c[5, 5]])),
    )


def constants(lattice_A: float, c11: float, c12: float, c44: float) -> dict[str, float]:
    """With the ratio of the stiffnesses against the two shears of a cubic crystal (Zener's)."""
    values = (lattice_A, c11, c12, c44, 2.0 * c44 / (c11 - c12))
    return dict(zip(CONSTANTS, values, strict=True))


def row(crystal: str, potential: str, found: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation over cells."""
    values = {name: [one[name] for one in found] for name in CONSTANTS}
    several = len(found) > 1
    return {
        "crystal": crystal,
        "potential": potential,
        "cells": len(found),
        "mean": {name: float(np.mean(of)) for name, of in values.items()},
        "spread": {n: float(np.std(of, ddof=1)) for n, of in values.items()} if several else None,
    }


def pbe() -> list[dict[str, Any]]:
    """Of the metals, by the labels of their strained frames."""
    frames = read_frames(DataSettings("monbtaw/train.xyz.xz"))
    metals = []
    for metal in METALS:
        chosen = strained(frames, f"{metal}_Elastic")
        found = fit(chosen, [stress_of(frame) for frame in chosen], 2)
        metals.append(
            constants(found.lattice_constant_A, found.c11_GPa, found.c12_GPa, found.c44_GPa)
        )
    rows = [row(metal, "PBE", [one]) for metal, one in zip(METALS, metals, strict=True)]
    return [*rows, {**row("mean of the four", "PBE", metals), "spread": None}]


def stress_of(frame: Frame) -> NDArray[np.float64]:
    """Its label."""
    assert frame.stress is not None
    return np.asarray(frame.stress, dtype=np.float64)


def by_group(potentials: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Errors of each kind of test frames.

    A constant for each metal, which its own test frames tell, is taken off the energies: that of
    an atom alone is not known of SNAP.
    """
    frames = read_frames(DataSettings("monbtaw/test.xyz.xz"))
    groups = np.array([str(frame.atoms.info["group"]).removesuffix("_Test") for frame in frames])
    counts = np.array([[f.atoms.symbols.count(metal) for metal in METALS] for f in frames])
    pure = np.isin(groups, METALS)
    rows = []
    for name, potential in potentials.items():
        found = [evaluated(frame.atoms, potential) for frame in frames]
        off = np.array([it["energy"] - f.energy for it, f in zip(found, frames, strict=True)])
        off -= counts @ np.linalg.lstsq(counts[pure], off[pure], rcond=None)[0]
        for label, chosen in kinds(groups).items():
            picked = [(found[i], frames[i]) for i in np.flatnonzero(chosen)]
            forces = np.concatenate([(it["forces"] - f.forces).ravel() for it, f in picked])
            stresses = [it["stress"] - stress_of(f) for it, f in picked if f.stress is not None]
            energies = 1e3 * off[chosen] / counts[chosen].sum(axis=1)
            rows.append(
                {
                    "group": label,
                    "potential": name,
                    "frames": len(picked),
                    "energy_mae_meV_per_atom": float(np.abs(energies).mean()),
                    "energy_mean_error_meV_per_atom": float(energies.mean()),
                    "forces_mae_meV_per_A": 1e3 * float(np.abs(forces).mean()),
                    "stress_mae_GPa": float(np.abs(stresses).mean()) / GPa,
                }
            )
    return rows


def evaluated(atoms: Atoms, potential: Any) -> dict[str, Any]:
    """Energy, forces and stress (3, 3)."""
    if isinstance(potential, BatchEvaluator):
        (found,) = potential([atoms], ("energy", "forces", "stress"))
        stress = found["stress"]
    else:
        copied = atoms.copy()
        copied.calc = potential
        found = {"energy": copied.get_potential_energy(), "forces": copied.get_forces()}
        stress = copied.get_stress()
    xx, yy, zz, yz, xz, xy = stress
    return {**found, "stress": np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])}


def kinds(groups: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Which frames are of which kind."""
    pure, four = np.isin(groups, METALS), groups == "Multinary"
    return {
        "hot metals": pure,
        "solid solutions of two": ~pure & ~four,
        "hot alloys of four": four,
    }


def elastic_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for each crystal: by the potential, by SNAP, by PBE."""
    crystals = list(dict.fromkeys(it["crystal"] for it in rows))
    of = {(it["crystal"], it["potential"]): it for it in rows}
    order = (POTENTIAL, "SNAP", "PBE")
    return table(
        ["crystal", *(label for label, _ in CONSTANTS.values())],
        [
            [
                crystal,
                *(
                    " / ".join(cell(of[crystal, by], name) for by in order if (crystal, by) in of)
                    for name in CONSTANTS
                ),
            ]
            for crystal in crystals
        ],
    )


def cell(row: Mapping[str, Any], name: str) -> str:
    """Mean and spread of a constant."""
    style = CONSTANTS[name][1]
    spread = "" if row["spread"] is None else f" ± {row['spread'][name]:{style}}"
    return f"{row['mean'][name]:{style}}{spread}"


def error_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for each kind of frames and potential."""
    columns = {
        "energy_mae_meV_per_atom": ("energy MAE (meV/atom)", "z.1f"),
        "energy_mean_error_meV_per_atom": ("mean error", "z.1f"),
        "forces_mae_meV_per_A": ("forces MAE (meV/Å)", ".1f"),
        "stress_mae_GPa": ("stress MAE (GPa)", ".2f"),
    }
    labels = list(dict.fromkeys(it["group"] for it in rows))
    return table(
        ["test frames", "number", "by", *(label for label, _ in columns.values())],
        [
            [
                it["group"],
                it["frames"],
                it["potential"],
                *(f"{it[column]:{style}}" for column, (_, style) in columns.items()),
            ]
            for it in sorted(rows, key=lambda it: labels.index(it["group"]))
        ],
    )


if __name__ == "__main__":
    main()
