"""Errors by the group that a frame belongs to, such as an alloy or a topology.

    python benchmarks/groups.py --potential est-monbtaw --data monbtaw/test.xyz.xz --by group \\
        --output docs/benchmarks/groups-est-monbtaw.json --page docs/est.md

The data are found by name as ``train`` finds them. The page gets the table between its marks.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from marked import with_table
from timing import machine

from ase_geomformer.accuracy.evaluation import Evaluation, evaluate_frames
from ase_geomformer.accuracy.readme.markdown import known, table
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

COLUMNS = {
    "frames": "frames",
    "energy_mae_meV_per_atom": "energy MAE (meV/atom)",
    "energy_mean_error_meV_per_atom": "mean error",
    "forces_mae_meV_per_A": "forces MAE (meV/Å)",
    "forces_rmse_meV_per_A": "RMSE",
    "stress_mae_GPa": "stress MAE (GPa)",
}


def main() -> None:
    """Evaluate, show and write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", required=True)
    parser.add_argument("--data", required=True, help="SET/FILE, or a path")
    parser.add_argument("--by", required=True, help="entry of the frames' info")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    options = parser.parse_args()
    torch.set_num_threads(1)
    frames = read_frames(DataSettings(options.data))
    found = evaluate_frames(options.potential, frames)
    groups = np.array([str(frame.atoms.info[options.by]) for frame in frames])
    rows = [row(name, found.select(groups == name)) for name in sorted(set(groups.tolist()))]
    rows.append(row("all", found))
    text = as_table(options.by, rows)
    print(text)
    if options.output is not None:
        about = {"potential": options.potential, "data": options.data}
        write_text(options.output, to_json({**machine("vesin"), **about, "rows": rows}))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        name = f"benchmarks/groups.py, {options.potential}"
        write_text(options.page, with_table(page, name, text))


def row(name: str, found: Evaluation) -> dict[str, Any]:
    """Errors of one group; of stresses where there are labels."""
    assert found.energy is not None
    assert found.forces is not None
    return {
        "group": name,
        "frames": len(found.frames),
        "atoms": len(found.atomic_numbers),
        "energy_mae_meV_per_atom": found.energy.mae_meV_per_atom,
        "energy_mean_error_meV_per_atom": found.energy.mean_error_meV_per_atom,
        "forces_mae_meV_per_A": found.forces.mae_meV_per_A,
        "forces_rmse_meV_per_A": found.forces.rmse_meV_per_A,
        "stress_mae_GPa": found.stress.mae_GPa if found.stress else None,
    }


def as_table(entry: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown."""
    shown = [column for column in COLUMNS if any(it[column] is not None for it in rows)]
    return table(
        [entry, *(COLUMNS[column] for column in shown)],
        [[it["group"], *(known(it[column]) for column in shown)] for it in rows],
    )


if __name__ == "__main__":
    main()
