"""Importing the package and its public names leaves the user's process as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import ase_geomformer

PUBLIC_NAMES = """
import ase_geomformer
for name in ase_geomformer.__all__:
    getattr(ase_geomformer, name)
"""

# A potential of random weights, which torch draws from its global generator: that is not ours.
POTENTIAL = """
from ase.build import molecule
from ase_geomformer import Potential
from ase_geomformer.architectures import build

settings = {"num_features": 16, "num_layers": 1, "num_heads": 2,
            "message_normalization": "identity"}
potential = Potential(build("so3krates", settings), ["H", "O"])
"""
CALCULATOR = """
from ase_geomformer import PotentialCalculator, evaluate_many
water = molecule("H2O")
calculator = PotentialCalculator(potential, device="cpu", dtype="float32")
"""
# What users do, each after the above.
ACTIONS = {
    "construction": "",
    "evaluation": """
water.calc = calculator
water.get_forces()
evaluate_many([water, water], potential, device="cpu")
""",
    "failures": """
from ase_geomformer.checkpoint.folder import CheckpointError, load_folder
for call in (
    lambda: calculator.get_property("energy", molecule("CH4")),
    lambda: calculator.get_property("stress", water),
    lambda: evaluate_many([water, molecule("CH4")], potential, device="cpu"),
    lambda: PotentialCalculator("no such potential"),
    lambda: PotentialCalculator(potential, dtype="float16"),
    lambda: load_folder("nowhere"),
):
    try:
        call()
    except Exception:
        pass
    else:
        raise AssertionError("it did not fail")
""",
    "a failure within the network": """
def explode(graph):
    raise FloatingPointError("in the middle")
calculator.potential.architecture.forward = explode
with torch.no_grad():
    try:
        calculator.get_property("forces", water)
    except FloatingPointError:
        pass
    assert not torch.is_grad_enabled()
""",
    "molecular dynamics": """
from ase_geomformer.md import MDSettings, run_md
run_md(water, calculator, MDSettings(temperature_K=100, steps=3, seed=1), progress=False)
""",
    "self-test": """
from ase_geomformer import selftest
assert selftest(calculator, water, checks=["rotation", "forces", "batch"]).passed
""",
}

# Prints what `action` changed. ASE and torch come first: what they do on import is theirs.
PROBE = """
import json, logging, os, random, sys, warnings
import ase.calculators.calculator, numpy, torch

def no_network(*arguments, **options):
    raise AssertionError("the network was asked for")

import socket
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = no_network
{preparation}
def state():
    return {{
        "torch dtype": torch.get_default_dtype(),
        "torch device": torch.get_default_device(),
        "torch random state": torch.get_rng_state().tolist(),
        "torch threads": torch.get_num_threads(),
        "torch gradients": torch.is_grad_enabled(),
        "torch determinism": torch.are_deterministic_algorithms_enabled(),
        "torch matmul precision": torch.get_float32_matmul_precision(),
        "numpy random state": [numpy.asarray(part).tolist() for part in numpy.random.get_state()],
        "numpy errors": numpy.geterr(),
        "numpy print options": numpy.get_printoptions(),
        "random state": random.getstate(),
        "environment": dict(os.environ),
        "root log handlers": list(logging.root.handlers),
        "root log level": logging.root.level,
        "warning filters": list(warnings.filters),
        "exception hook": sys.excepthook,
        "working directory": os.getcwd(),
        "torch inference mode": torch.is_inference_mode_enabled(),
    }}

before = {{name: repr(value) for name, value in state().items()}}
{action}
after = {{name: repr(value) for name, value in state().items()}}
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


@pytest.fixture
def changes_made_by(tmp_path: Path, run_python: Callable) -> Callable:
    """Global state that an action changes, and the files that it leaves behind."""
    places = {name: tmp_path / name for name in ("home", "cwd", "tmp")}
    for place in places.values():
        place.mkdir()
    places["home"].chmod(0o555)
    environment = {**os.environ, "HOME": str(places["home"]), "TMPDIR": str(places["tmp"])}

    def changes(action: str, preparation: str = "") -> tuple[list[str], list[str]]:
        code = PROBE.format(action=action, preparation=preparation)
        done = run_python("-B", "-c", code, cwd=places["cwd"], env=environment)
        assert done.stderr == ""
        files = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()]
        return json.loads(done.stdout), files

    return changes


@pytest.mark.parametrize(
    "action",
    [pytest.param("import ase_geomformer", id="import"), pytest.param(PUBLIC_NAMES, id="names")],
)
def test_import_changes_no_global_state(action: str, changes_made_by: Callable) -> None:
    assert changes_made_by(action) == ([], [])


# Imports the modules of each package of ours in a child of its own, after the libraries that leave
# random states alone, so that none has to be loaded often.
IMPORT_ALL = """
import importlib, os, pkgutil, random
import ase.calculators.calculator, h5py, matplotlib.figure, numpy, phonopy, scipy.optimize, torch
import ase_geomformer

def state():
    numpys = [numpy.asarray(part).tolist() for part in numpy.random.get_state()]
    return random.getstate(), numpys, torch.get_rng_state().tolist()

found = pkgutil.walk_packages(ase_geomformer.__path__, "ase_geomformer.")
modules = [module.name for module in found if "__main__" not in module.name]
rooms = dict.fromkeys(name.rpartition(".")[0] for name in modules)
for room in rooms:
    if not (child := os.fork()):
        for name in modules:
            if name.rpartition(".")[0] == room:
                before = state()
                try:
                    importlib.import_module(name)
                except ImportError as error:  # of an extra that is not installed
                    assert not str(error.name).startswith("ase_geomformer"), error
                if state() != before:
                    os.write(1, f"{name}\\n".encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, room
print("done with", len(modules))
"""


def test_no_module_changes_random_states(run_python: Callable) -> None:
    *changing, done = run_python("-c", IMPORT_ALL).stdout.splitlines()
    assert changing == []
    assert int(done.split()[-1]) > 300


def test_rich_is_imported_in_one_place() -> None:
    """Within a package, the first module that imports it would hide the others above."""
    package = Path(ase_geomformer.__file__).parent
    importing = [path for path in package.rglob("*.py") if "from rich" in path.read_text()]
    assert importing == [package / "machine" / "display.py"]


@pytest.mark.parametrize("action", ACTIONS)
def test_use_changes_no_global_state(action: str, changes_made_by: Callable) -> None:
    assert changes_made_by(CALCULATOR + ACTIONS[action], POTENTIAL) == ([], [])


def test_the_probe_sees_changes(changes_made_by: Callable) -> None:
    changed, files = changes_made_by(
        "torch.manual_seed(1); warnings.simplefilter('error'); open('left.txt', 'w').close()"
    )
    assert changed == ["torch random state", "warning filters"]
    assert files == ["cwd/left.txt"]


def test_plain_import_loads_no_heavy_package(run_python: Callable) -> None:
    loaded = run_python("-c", "import sys, ase_geomformer; print(*sys.modules)").stdout.split()
    assert {"torch", "numpy", "ase", "e3nn"}.isdisjoint(loaded)


# Time to import is measured in benchmarks; modules are what it is made of, and can be counted.


def test_public_names_import_little(run_python: Callable) -> None:
    code = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        f"{PUBLIC_NAMES}\n"
        "print(*set(sys.modules) - before)"
    )
    loaded = run_python("-c", code).stdout.split()
    heavy = {"e3nn", "scipy", "matscipy", "matplotlib", "phonopy", "torch._dynamo", "sympy"}
    assert heavy.isdisjoint(loaded)
    assert len(loaded) < 400  # 323, which take 0.45 s


def test_a_first_energy_imports_little(run_python: Callable) -> None:
    """From the second process on: the first one makes the radial tables."""
    code = (
        "import sys, torch, ase.calculators.calculator\n"
        "from ase import Atoms\n"
        "before = set(sys.modules)\n"
        "from ase_geomformer import PotentialCalculator\n"
        "calculator = PotentialCalculator('so3krates-rmd17-ethanol', device='cpu')\n"
        "calculator.get_potential_energy(Atoms('CO', [[0, 0, 0], [0, 0, 1.2]]))\n"
        "print(*set(sys.modules) - before)"
    )
    run_python("-c", code)
    loaded = run_python("-c", code).stdout.split()
    assert {"e3nn", "scipy", "matplotlib", "torch._dynamo", "sympy"}.isdisjoint(loaded)
    assert len(loaded) < 280  # 216


def test_listing_potentials_needs_no_torch(run_python: Callable) -> None:
    code = (
        "import sys\n"
        "from ase_geomformer.cli import main\n"
        "assert main(['models', 'list']) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    loaded = run_python("-c", code).stderr.split()
    assert {"torch", "ase", "scipy", "matplotlib"}.isdisjoint(loaded)
    assert len(loaded) < 550  # 450
