"""Whether a change of the code changed any number that the package gives.

python benchmarks/equality.py write before.json     # with the code before
python benchmarks/equality.py compare before.json   # with the code after

Evaluates every shipped potential on the structures of its card, in float32 and float64, and does
one short run of every verb of the command line: three minutes on one core. Only public names are
used, so that the same script runs with the code before and after a change. Compare on the same
machine, because other processors round otherwise. What differs between two runs of the same code
is left out: speed, versions, paths, words. The exit code of compare is 1 if a number is missing or
differs by more than rounding.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: sums are the same every time

import argparse
import csv
import json
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from ase_geomformer import PotentialCalculator, evaluate_many, list_potentials
from ase_geomformer.cli import main as command_line

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ASE_GEOMFORMER_SHARED", ROOT.parent / "shared"))


class Rounding(NamedTuple):
    """What differs by no more than this is rounding.

    Attributes
    ----------
    relative : float
        To the largest number of an entry.
    zero : float
        In the units of the package, for entries that are zero by symmetry.
    energies : float
        Relative, for energies: they are sums in float64, most of which are exact numbers by
        element, so that a tolerance as wide as that of forces would let an electronvolt pass.
    """

    relative: float
    zero: float
    energies: float


DOUBLE, SINGLE = Rounding(1e-9, 1e-7, 1e-9), Rounding(1e-5, 1e-5, 1e-7)
# Numbers of potentials in float32, and the runs that compute in the dtype of the weights.
IN_FLOAT32 = re.compile(r"/float32/|^(md-|replicas|singlepoint|evaluate|selftest)|^phonons-md/md/")
ENERGIES = re.compile(r"energy|energies|enthalpy|conserved")
# What makes more of rounding, with the largest relative difference that still counts as that.
AMPLIFIED = {
    r"modes$|vibrations/mode": np.inf,  # signs, and mixtures of modes of one frequency
    r"phonons-md/md/.*positions": np.inf,  # atoms at the border of the cell, in another image
    r"drift_meV": np.inf,  # slopes over a few femtoseconds of energies that are compared themselves
    r"lowest_frequenc|acoustic_gap|whole_motions": 10.0,  # roots of zero
    r"qha/qha.npz/band_": 1.0,  # bands that touch, in another order
    r"conductivity_W|lifetimes": 0.1,  # scattering at energies that are just conserved
    r"_error(_|$)": 1e-2,  # of fits that are nearly exact
    r"eos/.*fits|qha/|frequencies|dos_|asymmetry|checks": 1e-4,
}

# Numbers that tell of the process rather than of its results.
OF_THE_PROCESS = re.compile(
    r"provenance|wall_time|ns_per_day|per_second|list_rebuilds|learning_rate|^lr|version",
)
Numbers = dict[str, list[float]]


def collect(only: str = "") -> Numbers:
    """All numbers by name, of the potentials and runs whose names match a regular expression."""
    numbers: Numbers = {}
    for name, folder in sorted(list_potentials().items()):
        if re.search(only, name):
            numbers |= of_potential(name, folder)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        make_inputs(work)
        for name, lines in runs().items():
            if re.search(only, name):
                numbers |= of_run(name, lines, work)
    return numbers


# --- potentials ---------------------------------------------------------------------------------


def of_potential(potential: str, folder: Path) -> Numbers:
    """What a potential gives for the structures of its card, one by one and as a batch."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    structures = [golden_structure(vector) for vector in card["golden"]]
    numbers: Numbers = {}
    for dtype in ("float32", "float64"):
        calculator = calculator_of(folder, dtype)
        asked = [name for name in calculator.implemented_properties if name != "free_energy"]
        for place, atoms in enumerate(structures):
            for name in asked:
                if atoms.cell.rank == 3 or not name.startswith("stress"):
                    value = calculator.get_property(name, atoms)
                    numbers[f"{potential}/{dtype}/{place}/{name}"] = floats(value)
        for place, result in enumerate(evaluate_many(structures, calculator)):
            for name in ("energy", "forces"):
                numbers[f"{potential}/{dtype}/batch/{place}/{name}"] = floats(result[name])
    print(f"{potential}: {len(structures)} structures", flush=True)
    return numbers


def calculator_of(folder: Path, dtype: str) -> PotentialCalculator:
    """With the sums of long range that the card names, which once were the only ones."""
    try:
        return PotentialCalculator(folder, device="cpu", dtype=dtype, long_range="published")
    except TypeError:  # by code from before there was a choice
        return PotentialCalculator(folder, device="cpu", dtype=dtype)


def golden_structure(vector: dict[str, Any]) -> Atoms:
    """A structure of a card."""
    return Atoms(
        vector["atomic_numbers"],
        positions=vector["positions"],
        cell=vector["cell"],
        pbc=vector["pbc"],
        info={"charge": vector["charge"], "spin": vector["spin"]},
    )


# --- verbs --------------------------------------------------------------------------------------


def make_inputs(work: Path) -> None:
    """The structures, labelled frames and settings that the runs take."""
    rng = np.random.default_rng(0)
    silicon = bulk("Si", "diamond", a=5.43, cubic=True)
    write(work / "si_perfect.extxyz", bulk("Si", "diamond", a=5.43))
    many = []
    for shift in (0.05, 0.08, 0.1):
        atoms = silicon.copy()
        atoms.positions += rng.normal(scale=shift, size=atoms.positions.shape)
        many.append(atoms)
    write(work / "si.extxyz", many[0])
    write(work / "si_many.extxyz", many)
    ethanol = molecule("CH3CH2OH")
    write(work / "ethanol.extxyz", ethanol)
    turned = ethanol.copy()
    turned.set_dihedral(0, 1, 2, 3, 60.0, indices=[3])
    write(work / "ethanol_turned.extxyz", turned)
    write(work / "copper.extxyz", [labelled(rng) for _ in range(16)])
    training: dict[str, Any] = {
        "data": {"path": str(work / "copper.extxyz")},
        "split": {"train": 10, "validation": 3},
        "loss": {"stress": {"weight": 0.1}},
        "batches": {"size": 4},
        "optimizer": {"warmup_steps": 2},
        "run": {
            "steps": 8,
            "validate_every": 4,
            "seed": 1,
            "dtype": "float64",
            "accelerator": "cpu",
            "progress": False,
        },
    }
    small = {"num_features": 16, "num_layers": 1, "num_heads": 2, "degrees": [1, 2]}
    model = {"architecture": "so3krates", "settings": small, "terms": {"zbl": {}}}
    for name, extra in {"train": {"model": model}, "finetune": {}}.items():
        text = yaml.safe_dump({"name": name, **training, **extra})
        (work / f"{name}.yaml").write_text(text, encoding="utf-8")


def labelled(rng: np.random.Generator) -> Atoms:
    """A rattled copper crystal with the energy, forces and stress of a known potential."""
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * (1.0 + rng.normal(scale=0.02)), scale_atoms=True)
    atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
    atoms.calc = EMT()
    names = ("energy", "forces", "stress")
    results = {name: atoms.calc.get_property(name, atoms) for name in names}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def runs() -> dict[str, list[str]]:
    """The command lines of each run; ``{work}`` is the folder of the inputs, --output is added."""
    si = "--potential so3krates-mlearn-si --structure {work}/si.extxyz"
    crystal = "--potential so3krates-mlearn-si --structure {work}/si_perfect.extxyz"
    ethanol = "--structure {work}/ethanol.extxyz --potential"
    md = "--timestep_fs 1 --log_interval 2 --trajectory_interval 2 --seed 3 --temperature_K 600"
    md += " --checkpoint_interval 3 --thermostat_time_fs 20 --barostat_time_fs 50"
    few = "--supercell [2,2,2] --mesh [4,4,4] --temperature_max_K 400 --fmax 1e-3"
    chosen: dict[str, list[str]] = {}
    for ensemble in (
        "nve", "nvt-langevin", "nvt-bussi", "nvt-nose-hoover", "npt-mtk", "npt-berendsen",
    ):  # fmt: skip
        line = f"md {si} {md} --ensemble {ensemble}"
        chosen[f"md-{ensemble}"] = [f"{line} --steps 5", f"{line} --steps 10 --resume"]
    for barostat in ("full", "axes"):
        chosen[f"md-{barostat}"] = [f"md {si} {md} --ensemble npt-mtk --barostat {barostat}"]
        chosen[f"md-{barostat}"][0] += " --steps 6"
    for form in ("extxyz", "h5md"):
        chosen[f"md-{form}"] = [f"md {si} {md} --steps 6 --trajectory_format {form}"]
    for name in ("est", "geomformer"):
        chosen[f"md-{name}"] = [f"md {ethanol} {name}-rmd17-ethanol {md} --steps 4"]
    committee = "[so3krates-rmd17-ethanol,so3krates-rmd17]"
    chosen |= {
        "md-committee": [
            f"md {ethanol} {committee} {md} --steps 6 --harvest.min_forces_spread_eV_per_A 0.001"
            " --harvest.min_steps 2"
        ],
        "replicas": [
            f"replicas {ethanol} so3krates-rmd17-ethanol {md} --temperatures_K [300,330,360]"
            f" --exchange_interval 3 --steps {steps}"
            for steps in ("6", "12 --resume")
        ],
        "singlepoint": [f"singlepoint {si} --structure {{work}}/si_many.extxyz"],
        "relax": [f"relax {si} --cell full --fmax 0.02"],
        "relax-fire": [f"relax {ethanol} so3krates-rmd17-ethanol --optimizer fire --steps 10"],
        "relax-symmetric": [
            f"relax {crystal} --cell hydrostatic --keep_symmetry true --pressure_GPa 1"
        ],
        "relax-many": [
            f"relax-many {si} --structure {{work}}/si_many.extxyz --in_flight 2 --cell full"
            " --fmax 0.05"
        ],
        "eos": [f"eos {crystal} --points 7 --volume_range 0.05"],
        "elastic": [f"elastic {crystal} --points 3 --fmax 1e-3"],
        "neb": [
            f"neb {ethanol} so3krates-rmd17-ethanol --final {{work}}/ethanol_turned.extxyz"
            " --images 5 --steps 12 --saddle_steps 4 --ends_fmax 0.05"
        ],
        "vibrations": [f"vibrations {ethanol} so3krates-rmd17-ethanol --relax true --fmax 0.005"],
        "vibrations-differences": [
            f"vibrations {ethanol} so3krates-rmd17-ethanol --relax true --fmax 0.005"
            " --hessian finite-difference --mode_frames 0"
        ],
        "phonons": [f"phonons {crystal} {few} --band_points 11 --temperature_step_K 100"],
        "phonons-hessian": [
            f"phonons {crystal} {few} --force_constants hessian --band_points 11"
            " --temperature_step_K 100"
        ],
        "phonons-md": [
            f"phonons {crystal} {few} --force_constants md --band_points 11"
            " --temperature_step_K 100 --md.equilibration_steps 10 --md.frames 4"
            " --md.frame_interval 3"
        ],
        "qha": [
            f"qha {crystal} --volumes 5 --phonons.supercell [2,2,2] --phonons.mesh [4,4,4]"
            " --phonons.temperature_max_K 300 --phonons.temperature_step_K 50"
            " --phonons.fmax 1e-3 --gruneisen_mesh_length_A 15 --phonons.band_points 5"
        ],
        "conductivity": [
            f"conductivity {crystal} {few} --phonon_supercell [2,2,2] --pair_cutoff_A 3"
            " --temperature_min_K 200 --temperature_step_K 100"
        ],
        "selftest": [f"selftest {si}"],
        "selftest-ethanol": [f"selftest {ethanol} so3krates-rmd17-ethanol"],
        "evaluate": ["evaluate --potential so3krates-mlearn-cu --structure {work}/copper.extxyz"],
        "train": ["train {work}/train.yaml"],
        "finetune": ["finetune --potential so3krates-mlearn-cu {work}/finetune.yaml"],
    }
    # The long-range terms, which no shipped potential has.
    so3lr = SHARED / "fixtures/so3krates/so3lr/weights_flax.safetensors"
    if so3lr.is_file():
        chosen["so3lr"] = [f"convert so3lr {so3lr}"]
    return chosen


def of_run(name: str, lines: list[str], work: Path) -> Numbers:
    """The exit code of each command line, and all numbers in the folder they leave."""
    numbers: Numbers = {}
    folder = work / name
    silent = [] if name.startswith(("singlepoint", "selftest", "so3lr")) else ["--progress=false"]
    silent = ["--run.progress=false"] if name in ("train", "finetune") else silent
    for place, line in enumerate(lines):
        words = [word.format(work=work) for word in line.split()]
        with redirect_stdout(sys.stderr):
            code = command_line([*words, *silent, "--output", str(folder)])
        numbers[f"{name}/exit/{place}"] = [float(code)]
    for path in sorted(path for path in folder.rglob("*") if path.suffix in READERS):
        try:
            for key, value in READERS[path.suffix](path):
                numbers[f"{name}/{path.relative_to(folder)}/{key}"] = value
        except Exception:
            traceback.print_exc()
            numbers[f"{name}/{path.relative_to(folder)}/unreadable"] = [1.0]
    if name == "so3lr":  # charges and long-range terms through the calculator
        numbers |= of_potential("so3lr", folder)
    print(f"{name}: {len(numbers)} entries", flush=True)
    return numbers


# --- files --------------------------------------------------------------------------------------


def from_json(path: Path) -> Iterator[tuple[str, list[float]]]:
    """Numbers and truth values of a JSON file; lists of numbers are one entry."""
    yield from flattened(json.loads(path.read_text(encoding="utf-8")), "")


def flattened(value: Any, name: str) -> Iterator[tuple[str, list[float]]]:
    if OF_THE_PROCESS.search(name.rpartition(".")[2]):
        return
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from flattened(entry, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(entry, dict | str) for entry in value):
        for place, entry in enumerate(value):
            yield from flattened(entry, f"{name}.{place}")
    elif not isinstance(value, str):
        yield name, floats(value)


def from_csv(path: Path) -> Iterator[tuple[str, list[float]]]:
    """The columns of a log."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for column in rows[0] if rows else ():
        texts = [row[column] or "nan" for row in rows]
        try:
            numbers = [float(text) for text in texts]
        except ValueError:
            continue  # words
        if not OF_THE_PROCESS.search(column):
            yield column, numbers


def from_npz(path: Path) -> Iterator[tuple[str, list[float]]]:
    """Arrays of numbers."""
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            if arrays[name].dtype.kind in "fiubc" and not OF_THE_PROCESS.search(name):
                yield name, floats(arrays[name])


def from_frames(path: Path) -> Iterator[tuple[str, list[float]]]:
    """Positions, momenta, cells and results of the frames of a trajectory."""
    for place, atoms in enumerate(read(path, index=":")):
        yield f"{place}/positions", floats(atoms.positions)
        yield f"{place}/cell", floats(atoms.cell.array)
        if atoms.has("momenta"):
            yield f"{place}/momenta", floats(atoms.get_momenta())
        for name, value in (atoms.calc.results if atoms.calc else {}).items():
            yield f"{place}/{name}", floats(value)


READERS = {
    ".json": from_json,
    ".csv": from_csv,
    ".npz": from_npz,
    ".extxyz": from_frames,
    ".traj": from_frames,
}


def floats(value: Any) -> list[float]:
    """Numbers of any shape in a row; real and imaginary parts one after the other; None is NaN."""
    array = np.asarray(value)
    array = np.asarray(value, dtype=float) if array.dtype == object else array
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], axis=-1)
    return [float(number) for number in array.ravel()]


# --- comparison ---------------------------------------------------------------------------------


def compare(before: Numbers, after: Numbers) -> bool:
    """Print what differs, entry by entry; whether all is there and equal to rounding."""
    equal = fine = 0
    wrong = []
    for name, old in before.items():
        if name not in after:
            wrong.append(f"missing: {name}")
            continue
        new = after[name]
        if len(new) != len(old):
            wrong.append(f"{len(old)} numbers became {len(new)}: {name}")
        elif np.array_equal(old, new, equal_nan=True):
            equal += 1
        else:
            off = deviation(np.array(old), np.array(new))
            if off <= tolerance(name, np.array(old)):
                fine += 1
                print(f"off by {off:.1e} (rounding): {name}")
            else:
                wrong.append(f"off by {off:.1e}: {name}")
    more = sorted(set(after) - set(before))
    for line in [*wrong, *(f"new: {name}" for name in more)]:
        print(line)
    print(
        f"{len(before)} entries: {equal} equal to the bit, {fine} to rounding, "
        f"{len(wrong)} missing or off; {len(more)} new"
    )
    return not wrong


def deviation(old: np.ndarray, new: np.ndarray) -> float:
    """Largest difference; infinite if NaN comes or goes."""
    finite = np.isfinite(old) & np.isfinite(new)
    if not np.array_equal(old[~finite], new[~finite], equal_nan=True):
        return float("inf")
    return float(np.abs(old[finite] - new[finite]).max(initial=0.0))


def tolerance(name: str, old: np.ndarray) -> float:
    """The largest difference that rounding can make in an entry."""
    rounding = SINGLE if IN_FLOAT32.search(name) else DOUBLE
    usual = rounding.energies if ENERGIES.search(name) else rounding.relative
    limits = [limit for pattern, limit in AMPLIFIED.items() if re.search(pattern, name)]
    largest = np.abs(np.nan_to_num(old)).max(initial=1e-300)
    return float(max(limits, default=usual) * largest + rounding.zero)


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["write", "compare"])
    parser.add_argument("file", type=Path, help="JSON file of the numbers")
    parser.add_argument(
        "after", type=Path, nargs="?", help="numbers written before, to compare with those"
    )
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="potentials and runs whose names match"
    )
    options = parser.parse_args()
    if options.what == "write":
        options.file.write_text(json.dumps(collect(options.only)), encoding="utf-8")
        return 0
    before, after = read_numbers(options.file, options.only), None
    if options.after is not None:
        after = read_numbers(options.after, options.only)
    return 0 if compare(before, collect(options.only) if after is None else after) else 1


def read_numbers(path: Path, only: str) -> Numbers:
    """The chosen entries of a file."""
    numbers = json.loads(path.read_text(encoding="utf-8"))
    return {name: old for name, old in numbers.items() if re.search(only, name.split("/")[0])}


if __name__ == "__main__":
    raise SystemExit(main())
