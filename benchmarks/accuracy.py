"""Accuracy of the shipped potentials: evaluated again, checked, and put into docs/accuracy.md.

Every potential is evaluated on the test frames that its train.yaml names, and the errors are
compared with those in its folder. From the root of a checkout with the data beside it:

    python benchmarks/accuracy.py --output docs/accuracy.md

Potentials whose data are absent are named, and their errors taken from their folders. The exit
code is 1 when an error is not the one in the folder.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

from accuracy_page import page
from shipped import Shipped, absent, shipped, training

from ase_geomformer.accuracy.evaluation import evaluate_frames
from ase_geomformer.accuracy.readme.checks import read_checks
from ase_geomformer.accuracy.readme.page import EVALUATION_FILE
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.data.readers import read_frames
from ase_geomformer.machine.files import write_text

# Relative. Energies of float32 networks are noisy by some 1e-4 meV/atom (docs/trust.md), a few
# thousandths of the smallest errors.
ROUNDING = 5e-3
COMPARED = ("energy_mae_meV_per_atom", "forces_mae_meV_per_A", "forces_rmse_meV_per_A")


def main() -> int:
    """Evaluate, compare, print and write the page."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potentials", nargs="+", help="names; all shipped ones where left out")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    found = [gather(shipped()[name]) for name in options.potentials or shipped()]
    text = page(found)
    print(text)
    if options.output is not None:
        write_text(options.output, text)
    wrong = [it.card.name for it in found if it.deviation is not None and it.deviation > ROUNDING]
    if wrong:
        print(f"errors differ from those in the folder: {', '.join(wrong)}", file=sys.stderr)
    return int(bool(wrong))


def gather(folder: Path) -> Shipped:
    """All of a potential, evaluated where its data are there."""
    card, settings = read_card(folder), training(folder)
    errors = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))["test"]
    checks = {
        name: check for name, check in read_checks(folder).items() if check.sha256 == card.sha256
    }
    assert settings.test_data is not None, f"{folder.name} has no test_data in its train.yaml"
    if missing := absent(settings.test_data):
        print(f"{card.name}: not evaluated, there is no {missing[0]}", file=sys.stderr)
        return Shipped(folder, card, settings, checks, errors, {}, None)
    frames = read_frames(settings.test_data)
    evaluation = evaluate_frames(folder, frames)
    everything = evaluation.to_dict()
    deviation = max(abs(everything[name] / errors[name] - 1.0) for name in COMPARED)
    print(f"{card.name}: evaluated, {deviation:.1e} from its folder", file=sys.stderr, flush=True)
    parts = evaluation.by_file or {frames[0].source: evaluation}
    by_file = {Path(source).stem: part.to_dict() for source, part in parts.items()}
    return Shipped(folder, card, settings, checks, errors, by_file, deviation)


if __name__ == "__main__":
    sys.exit(main())
