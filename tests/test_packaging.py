"""What is installed: packages, shipped potentials, public names, entry points."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from configparser import ConfigParser
from importlib.metadata import entry_points, metadata, packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ase_geomformer


@pytest.fixture(scope="module")
def config(root: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read(root / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory, run_python: Callable) -> Path:
    """The wheel built from a copy of the checkout, unpacked."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(root / name, source / name)
    for name in ("ase_geomformer", "potentials"):
        shutil.copytree(root / name, source / name)
    cache = source / "potentials" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "left.pyc").touch()
    target = tmp_path_factory.mktemp("wheel")
    run_python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source))
    (archive,) = target.glob("*.whl")
    with zipfile.ZipFile(archive) as content:
        content.extractall(target / "site")
    return target / "site"


def packages_on_disk(root: Path) -> set[str]:
    folders = (file.parent for file in (root / "ase_geomformer").rglob("__init__.py"))
    return {".".join(folder.relative_to(root).parts) for folder in folders}


def files_below(folder: Path) -> set[Path]:
    return {
        file.relative_to(folder)
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def imported_modules(root: Path) -> set[str]:
    """Top-level names that the package imports, at the top of a file or within a function."""
    names = set()
    for file in (root / "ase_geomformer").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def declared_requirements() -> list[Requirement]:
    return [Requirement(line) for line in metadata("ase-geomformer").get_all("Requires-Dist")]


def test_setup_cfg_lists_every_package(root: Path, config: ConfigParser) -> None:
    listed = config["options"]["packages"].split()
    assert set(listed) == packages_on_disk(root) | {"ase_geomformer_potentials"}
    assert listed == sorted(listed)


def test_every_python_file_lies_in_a_package(root: Path) -> None:
    folders = {file.parent for file in (root / "ase_geomformer").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_wheel_holds_every_file_but_the_figures_of_cards(root: Path, wheel: Path) -> None:
    assert files_below(wheel / "ase_geomformer") == files_below(root / "ase_geomformer")
    shipped = {file for file in files_below(root / "potentials") if file.suffix != ".png"}
    assert files_below(wheel / "ase_geomformer_potentials") == shipped
    assert list(wheel.rglob("__pycache__")) == []


LIST_POTENTIALS = """
import json
from ase_geomformer import list_potentials
print(json.dumps({name: str(path) for name, path in list_potentials().items()}))
"""
HIDE_EDITABLE_INSTALL = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
"""


def test_wheel_checkout_and_installation_list_the_same_potentials(
    root: Path, wheel: Path, tmp_path: Path, run_python: Callable
) -> None:
    def listed(code: str, search_path: Path) -> dict[str, str]:
        environment = {**os.environ, "PYTHONPATH": str(search_path), "XDG_DATA_HOME": str(tmp_path)}
        environment.pop("ASE_GEOMFORMER_POTENTIALS", None)
        return json.loads(run_python("-c", code, cwd=tmp_path, env=environment).stdout)

    from_wheel = listed(HIDE_EDITABLE_INSTALL + LIST_POTENTIALS, wheel)
    from_checkout = listed(HIDE_EDITABLE_INSTALL + LIST_POTENTIALS, root)
    installed = listed(LIST_POTENTIALS, tmp_path)
    assert from_wheel
    assert list(from_wheel) == list(from_checkout) == list(installed)
    assert all(Path(path).is_relative_to(wheel) for path in from_wheel.values())
    assert all(Path(path).is_relative_to(root) for path in from_checkout.values())


def test_constraints_freeze_every_requirement(root: Path) -> None:
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {canonicalize_name(pin.name): next(iter(pin.specifier)) for pin in pins}
    assert all(pin.operator == "==" for pin in pinned.values())
    assert not any("+" in pin.version for pin in pinned.values()), "local versions name one index"

    installed_by_make = [
        r for r in declared_requirements() if not r.marker or r.marker.evaluate({"extra": "dev"})
    ]
    assert len(installed_by_make) > 10
    for requirement in installed_by_make:
        pin = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), requirement


def test_dependency_ranges_leave_room(config: ConfigParser) -> None:
    requirements = [
        Requirement(line) for line in config["options"]["install_requires"].split("\n") if line
    ]
    for requirement in requirements:
        assert {bound.operator for bound in requirement.specifier} == {">="}, requirement


def test_every_imported_library_is_declared(root: Path) -> None:
    # Optional libraries that may be absent, under names that differ from their distribution's.
    absent = {"nvalchemiops": ["nvalchemi-toolkit-ops"], "torch_sim": ["torch-sim-atomistic"]}
    distributions = {**absent, **packages_distributions()}
    declared = {canonicalize_name(requirement.name) for requirement in declared_requirements()}
    libraries = imported_modules(root) - set(sys.stdlib_module_names) - {"ase_geomformer"}
    assert {"torch", "ase"} <= libraries
    undeclared = {
        name
        for name in libraries
        if declared.isdisjoint(map(canonicalize_name, distributions.get(name, [name])))
    }
    assert undeclared == set(), "imported, but missing from setup.cfg"


def test_version_is_stated_once(root: Path, config: ConfigParser) -> None:
    assert ase_geomformer.__version__ == version("ase-geomformer")
    assert version("ase-geomformer") == config["metadata"]["version"]
    assert f"\nversion: {version('ase-geomformer')}\n" in (root / "CITATION.cff").read_text()


def test_public_names_are_the_objects_of_their_modules() -> None:
    for name in ase_geomformer.__all__:
        value = getattr(ase_geomformer, name)
        if name != "__version__":
            assert value.__name__ == name
            assert value.__module__.startswith("ase_geomformer.")
    assert set(ase_geomformer.__all__) <= set(dir(ase_geomformer))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ase_geomformer' has no attribute 'nonsense'"):
        _ = ase_geomformer.nonsense


def test_console_script_is_the_command_line() -> None:
    (script,) = entry_points(group="console_scripts", name="ase-geomformer")
    from ase_geomformer.cli import main

    assert script.load() is main


def test_ase_sees_the_calculator() -> None:
    plugins = pytest.importorskip(
        "ase._4.plugins", reason="ASE before 3.29 has no plug-ins"
    ).plugins
    (plugin,) = plugins.by_package["ase_geomformer"].calculators
    assert plugin.name == "geomformer"
    assert plugin.version == version("ase-geomformer")
    assert plugin.implementation is ase_geomformer.PotentialCalculator


def test_ase_sees_the_calculator_even_where_our_module_is_imported_first(
    run_python: Callable,
) -> None:
    pytest.importorskip("ase._4.plugins", reason="ASE before 3.29 has no plug-ins")
    code = (
        "import ase_geomformer.plugin; from ase._4.plugins import plugins; print(plugins.display())"
    )
    listing = run_python("-c", code).stdout
    assert any(line.split()[0] == "geomformer" for line in listing.splitlines())


def test_ase_info_lists_the_plugin(run_python: Callable) -> None:
    pytest.importorskip("ase._4.plugins", reason="ASE before 3.29 has no plug-ins")
    listing = run_python("-m", "ase", "info", "--plugins").stdout
    ours = listing.partition(f"ase_geomformer {version('ase-geomformer')}")[2]
    assert "CalculatorPlugin\n----------------\ngeomformer" in ours
