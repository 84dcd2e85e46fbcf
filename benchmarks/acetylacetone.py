"""Acetylacetone at 300 K: errors of a trained potential beside published ones.

    ase-geomformer train benchmarks/acetylacetone.yaml --output runs/acetylacetone
    python benchmarks/acetylacetone.py --run runs/acetylacetone \\
        --output docs/benchmarks/acetylacetone.json --page docs/est.md

Root mean square errors on the test frames at 300 K, of the energies of whole molecules. Published
ones are those of I. Batatia et al., NeurIPS 2022, arXiv:2206.07697, table 3: means of three
trainings with 450 frames, and 50 to choose by, as here.
"""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from marked import with_table
from timing import machine

from ase_geomformer.accuracy.evaluation import evaluate_frames
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.training.settings_file import from_yaml

TEST = "botnet_acac/test_MD_300K.xyz.xz"
# Energy (meV) and forces (meV/Å), and the number of parameters.
PUBLISHED = {
    "BOTNet": (0.89, 6.3, 2_756_416),
    "NequIP": (0.81, 5.90, 3_190_488),
    "MACE": (0.9, 5.1, 2_803_984),
}


def main() -> None:
    """Evaluate, show and write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="output folder of the training")
    parser.add_argument("--show", type=Path, help="do not evaluate: take such a JSON file")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.show is not None:
        found = json.loads(options.show.read_text(encoding="utf-8"))
    else:
        found = measure(options.run)
    text = as_table(found)
    print(text)
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), **found}))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        write_text(options.page, with_table(page, "benchmarks/acetylacetone.py", text))


def measure(run: Path) -> dict[str, Any]:
    """Test errors, and what the training took."""
    folder, settings = run / "potential", from_yaml(run / "settings.yaml")
    errors = evaluate_frames(folder, read_frames(DataSettings(TEST))).to_dict()
    with (run / "logs/metrics.csv").open(encoding="utf-8") as log:
        steps = 1 + max(int(row["step"]) for row in csv.DictReader(log))
    return {
        "parameters": read_card(folder).num_parameters,
        "frames_seen": steps * settings.batches.size,
        "frames": errors["frames"],
        **{name: errors[name] for name in errors if name.startswith("energy_m")},
        "energy_rmse_meV": errors["energy_rmse_meV"],
        "forces_mae_meV_per_A": errors["forces_mae_meV_per_A"],
        "forces_rmse_meV_per_A": errors["forces_rmse_meV_per_A"],
    }


def as_table(found: Mapping[str, Any]) -> str:
    """Ours and the published ones."""
    ours = (found["energy_rmse_meV"], found["forces_rmse_meV_per_A"], found["parameters"])
    label = f"EST, ours, {found['frames_seen']:,} frames seen"
    return table(
        ["potential", "energy RMSE (meV)", "forces RMSE (meV/Å)", "parameters"],
        [
            [name, f"{energy:.2g}", f"{forces:.2g}", f"{parameters:,}"]
            for name, (energy, forces, parameters) in {**PUBLISHED, label: ours}.items()
        ],
    )


if __name__ == "__main__":
    main()
