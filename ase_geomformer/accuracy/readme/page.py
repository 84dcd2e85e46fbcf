"""The README.md of a potential's folder, generated from the files in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase_geomformer.accuracy.evaluation import Evaluation
from ase_geomformer.accuracy.figures import errors_by_element, parity
from ase_geomformer.accuracy.readme.checks import (
    SHORT_TRAINING,
    CardCheck,
    describe,
    read_checks,
    write_checks,
)
from ase_geomformer.accuracy.readme.markdown import bullets, known, table
from ase_geomformer.accuracy.readme.naming import heading, readable, short_names
from ase_geomformer.accuracy.readme.pictures import pictures
from ase_geomformer.checkpoint.folder import WEIGHTS_FILE, Card, read_card
from ase_geomformer.data.public.rows import DATA_SETS
from ase_geomformer.machine.bounded import read_json, read_yaml
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import save_figure

README_FILE = "README.md"
EVALUATION_FILE = "evaluation.json"
TRAINING_FILE = "train.yaml"
# More files of a data set are fetched as a whole.
FILES_NAMED = 3

QUOTED = (
    "energy_mae_meV",
    "energy_mae_meV_per_atom",
    "energy_rmse_meV_per_atom",
    "forces_mae_meV_per_A",
    "forces_rmse_meV_per_A",
    "forces_max_error_meV_per_A",
    "stress_mae_GPa",
    "stress_rmse_GPa",
)
"""Columns of the table of errors, where some data set has them."""

CONVENTIONS = (
    "MAE: mean absolute error, RMSE: root mean square error; forces and stresses by Cartesian "
    "component, energies of whole structures and per atom. The largest force error is the length "
    "of a difference of vectors."
)


def write_evaluations(
    folder: str | os.PathLike[str], evaluations: Mapping[str, Evaluation]
) -> None:
    """Put errors and their figures into a potential's folder, for its README.

    Writes ``evaluation.json`` (by data set) and ``parity.png`` and, where there are forces,
    ``errors_by_element.png``; the name of the set is in the picture's where there are several.

    Parameters
    ----------
    folder : path
    evaluations : mapping of str to Evaluation
        By name of the data set, such as ``test``.
    """
    folder = Path(folder)
    contents = {}
    for name, evaluation in evaluations.items():
        content = contents[name] = evaluation.to_dict()
        # Where the files lay on the machine of the training says nothing to others.
        names = short_names(frame.source for frame in evaluation.frames)
        for frame in (f for frames in content["worst_frames"].values() for f in frames):
            frame["source"] = names[frame["source"]]
        if "by_file" in content:
            content["by_file"] = {names[file]: part for file, part in content["by_file"].items()}
    write_text(folder / EVALUATION_FILE, to_json(contents))
    for name, evaluation in evaluations.items():
        ending = f"_{name}.png" if len(evaluations) > 1 else ".png"
        save_figure(parity(evaluation), folder / f"parity{ending}")
        if evaluation.forces is not None:
            save_figure(errors_by_element(evaluation), folder / f"errors_by_element{ending}")


def add_checks(folder: str | os.PathLike[str], checks: Mapping[str, CardCheck]) -> Path:
    """Put physical checks into a potential's folder, and rewrite its README."""
    write_checks(folder, checks)
    return write_readme(folder)


def write_readme(folder: str | os.PathLike[str]) -> Path:
    """Write the README.md of a potential's folder and return its path.

    It is made from ``card.json`` and, where they are there, ``evaluation.json``, ``checks.json``,
    ``train.yaml`` and all PNG pictures of the folder.

    Raises
    ------
    CheckpointError
        If the folder has no valid card.
    """
    folder = Path(folder)
    card = read_card(folder)
    path = folder / EVALUATION_FILE
    evaluations = read_json(path) if path.exists() else {}
    checks = read_checks(folder)
    current = {name: it for name, it in checks.items() if it.sha256 == card.sha256}
    short = current.pop(SHORT_TRAINING, None)
    sections = [
        f"# {card.name}",
        card.description,
        _facts(card, folder),
        *_section("What it is for", _for(card)),
        *_section("What it is not for", _not_for(card)),
        *_section("Use", _use(card)),
        *_section("Training data", _data(card)),
        *_section("Errors", _errors(evaluations)),
        *_section("Further figures of merit", _further(card, evaluations)),
        *_section("Physical checks", "\n\n".join(map(describe, current.values()))),
        *_section("Pictures", pictures(folder, apart={it.picture for it in checks.values()})),
        *_section("Reproduce", _reproduce(card, folder, short)),
        *_section("Cite", _citations(card)),
        f"*Generated from the files beside it by `{__name__}.write_readme`: "
        "change `card.json`, not this file.*",
    ]
    write_text(folder / README_FILE, "\n\n".join(filter(None, sections)) + "\n")
    return folder / README_FILE


def _section(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


def _facts(card: Card, folder: Path) -> str:
    weights = folder / WEIGHTS_FILE
    size = f", {weights.stat().st_size / 1e6:.2g} MB" if weights.exists() else ""
    rows = {
        "elements": " ".join(card.elements),
        "level of theory": card.level_of_theory,
        "architecture": card.architecture,
        "cutoff": f"{card.cutoff_A:g} Å",
        "terms of known form": ", ".join(card.terms),
        "parameters": f"{card.num_parameters:,} ({card.dtype}{size})",
        "licence of the weights": card.licence,
        "sha256 of the weights": f"`{card.sha256}`",
    }
    return table(["", ""], [row for row in rows.items() if row[1]])


def _for(card: Card) -> str:
    known = ", ".join(card.elements)
    data = ", ".join(source.name for source in card.data)
    likeness = f" and resemble its training data ({data})" if data else ""
    if not card.conservative:
        return (
            f"Energies and directly predicted forces of structures that are made of {known}"
            f"{likeness}: pre-training, screening, short relaxations."
        )
    return (
        f"Energies, forces and, where the cell has a volume, stresses of structures that are made "
        f"of {known}{likeness}: molecular dynamics, relaxation, vibrations. "
        "Forces are the exact gradient of the energy."
    )


def _not_for(card: Card) -> str:
    limits = [
        f"Other elements than {', '.join(card.elements)}: they are refused.",
        "Bonds, phases, densities and temperatures far from the training data. The potential "
        "answers there too, and its errors are then larger than those below; check with "
        "reference calculations of your own.",
    ]
    if not card.terms.keys() & {"electrostatics", "dispersion"}:
        limits.append(
            f"Interactions at long range: atoms see each other up to {card.cutoff_A:g} Å, and "
            "there is no explicit electrostatics or dispersion."
        )
    if not card.settings.get("charge_embedding"):
        limits.append("Charge and spin states other than the training data's: `charge` and "
                      "`spin` in `atoms.info` change nothing.")  # fmt: skip
    if "zbl" not in card.terms:
        limits.append("Collisions: nothing but the data keeps atoms from coming too close.")
    if not card.exact_equivariance:
        limits.append(
            "Anything that a small change with orientation would spoil, such as phonons: the "
            "energy is invariant under rotation only approximately."
        )
    if not card.conservative:
        limits.append(
            "Energy-conserving dynamics, cells under stress, phonons: forces are not the gradient "
            "of the energy."
        )
    return bullets(limits)


def _use(card: Card) -> str:
    return f"""```python
from ase.io import read
from ase_geomformer import PotentialCalculator

atoms = read("structure.xyz")
atoms.calc = PotentialCalculator("{card.name}")
print(atoms.get_potential_energy(), atoms.get_forces())
```"""


def _data(card: Card) -> str:
    rows = [
        (source.name, source.frames, source.level_of_theory, source.licence, source.citation)
        for source in card.data
    ]
    return table(["data set", "frames", "level of theory", "licence", "citation"], rows)


def _errors(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    if not evaluations:
        return ""
    columns = [name for name in QUOTED if any(name in found for found in evaluations.values())]
    errors = table(
        ["data set", "frames", *map(heading, columns)],
        [
            (name, found["frames"], *(known(found.get(column)) for column in columns))
            for name, found in evaluations.items()
        ],
    )
    parts = [
        CONVENTIONS,
        errors,
        *(_by_file(name, found) for name, found in evaluations.items()),
        _by_element(evaluations),
        _worst(evaluations),
    ]
    return "\n\n".join(filter(None, parts))


def _by_file(name: str, found: Mapping[str, Any]) -> str:
    """The errors of a data set file by file, where it has several."""
    parts = found.get("by_file", {})
    columns = [column for column in QUOTED if any(column in part for part in parts.values())]
    rows = [
        (f"`{source}`", part["frames"], *(known(part.get(column)) for column in columns))
        for source, part in parts.items()
    ]
    return table([f"{name}, by file", "frames", *map(heading, columns)], rows)


def _by_element(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    found = {name: content["forces_by_element"] for name, content in evaluations.items()}
    symbols = dict.fromkeys(symbol for elements in found.values() for symbol in elements)
    return table(
        ["element", *(f"{name}: force MAE, RMSE (meV/Å)" for name in found)],
        [
            (symbol, *(_pair(elements.get(symbol)) for elements in found.values()))
            for symbol in symbols
        ],
    )


def _pair(errors: Mapping[str, float] | None) -> str:
    if errors is None:
        return ""
    return f"{errors['mae_meV_per_A']:.3g}, {errors['rmse_meV_per_A']:.3g}"


def _worst(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, content in evaluations.items():
        for error, frames in content["worst_frames"].items():
            target, unit, worst = error.split("_")[0], readable(error)[1], frames[0]
            lines.append(
                f"{name}: largest error of {target} {worst['error']:.3g} {unit}, in "
                f"{worst['formula']}, frame {worst['index']} of `{worst['source']}`"
            )
    return bullets(lines)


def _further(card: Card, evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    """What the card says beyond the errors, which a training names after the part of the data."""
    told = {
        named
        for part, errors in evaluations.items()
        for name in errors
        for named in (name, f"{part}_{name}")
    }
    rows = [(*readable(name), value) for name, value in card.figures.items() if name not in told]
    return table(["what", "unit", "value"], rows)


def _reproduce(card: Card, folder: Path, short: CardCheck | None) -> str:
    blocks = [
        "Results on your machine against those on the card:",
        f"```\nase-geomformer models verify {card.name}\n```",
    ]
    if (folder / TRAINING_FILE).exists():
        named = _public_data(folder / TRAINING_FILE)
        get = f"ase-geomformer data get {' '.join(named)}\n" if named else ""
        blocks += [
            "The training, from the root of a checkout with the data where "
            f"[`{TRAINING_FILE}`]({TRAINING_FILE}) names them:",
            f"```\n{get}ase-geomformer train potentials/{card.name}/{TRAINING_FILE} "
            f"--output runs/{card.name}\n```",
        ]
    if short is not None:
        blocks.append(describe(short))
    return "\n\n".join(blocks)


def _public_data(path: Path) -> list[str]:
    """Names of the public data that a training reads: files, or the set where there are many."""
    content = read_yaml(path)
    paths: list[str] = []
    for part in ("data", "test_data"):
        given = (content.get(part) or {}).get("path", [])
        paths += [given] if isinstance(given, str) else given
    files = [name for name in dict.fromkeys(paths) if name.partition("/")[0] in DATA_SETS]
    sets = dict.fromkeys(name.partition("/")[0] for name in files)
    return files if len(files) <= FILES_NAMED else list(sets)


def _citations(card: Card) -> str:
    of_data = [source.citation for source in card.data]
    missing = [text for text in of_data if not any(text in given for given in card.citations)]
    return bullets(dict.fromkeys([*card.citations, *missing]))
