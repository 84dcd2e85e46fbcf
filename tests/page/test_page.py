"""The page of a run: complete, self-contained, and without trust in what the files say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from ase_geomformer.cli import main
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.page import write_page
from ase_geomformer.page.run_files import read_run
from ase_geomformer.recipes import EOSSettings, eos

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def dynamics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of dynamics with its files."""
    folder = tmp_path_factory.mktemp("runs") / "copper"
    atoms = bulk("Cu", cubic=True)
    settings = MDSettings(
        ensemble="nve", temperature_K=300.0, timestep_fs=2.0, steps=20, log_interval=2,
        trajectory_interval=5, seed=1,
    )  # fmt: skip
    run_md(atoms, EMT(), settings, output=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Equations of state of two metals."""
    folders = []
    for symbol in ("Cu", "Ni"):
        folder = tmp_path_factory.mktemp("scans") / symbol
        eos(bulk(symbol), EMT(), EOSSettings(), output=folder, progress=False)
        folders.append(folder)
    return folders


def embedded(page: Path, name: str) -> object:
    """The data of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def test_a_page_holds_curves_frames_and_verdict(dynamics: Path) -> None:
    page = write_page(dynamics)
    assert page == dynamics / "report.html"
    charts = {chart["title"]: chart for chart in embedded(page, "charts")}
    log = np.genfromtxt(dynamics / "log.csv", delimiter=",", names=True)
    curve = charts["Temperature"]["traces"][0]
    assert np.allclose(curve["x"], log["time_fs"] / 1000.0)
    assert np.allclose(curve["y"], log["temperature_K"], rtol=1e-6)
    (view,) = embedded(page, "views")
    assert len(view["frames"]) == 5
    assert view["symbols"] == ["Cu"] * 32  # a small cell is shown twice along each side
    text = page.read_text(encoding="utf-8")
    assert "reached its goal" in text
    assert "all 20 steps made" in text


def test_a_page_is_small_and_refers_to_nothing_outside(dynamics: Path) -> None:
    page = write_page(dynamics)
    assert page.stat().st_size < 5_000_000
    text = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", page.read_text())
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("kind", ["traj", "h5md", "extxyz"])
def test_frames_of_every_format_are_those_of_the_run(kind: str, tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 1))
    settings = MDSettings(
        ensemble="nve", temperature_K=300.0, timestep_fs=2.0, steps=10, trajectory_interval=5,
        trajectory_format=kind, seed=1,
    )  # fmt: skip
    final = run_md(atoms, EMT(), settings, output=tmp_path / "run", progress=False).atoms
    view = read_run(tmp_path / "run").structure
    assert view is not None
    assert len(view["frames"]) == 3
    assert np.allclose(view["frames"][-1], final.positions, atol=1e-3)
    assert np.allclose(view["cell"], atoms.cell, atol=1e-4)


def test_runs_side_by_side_share_their_charts(scans: list[Path], tmp_path: Path) -> None:
    page = write_page(scans, tmp_path / "both.html")
    (chart,) = (one for one in embedded(page, "charts") if one["title"] == "Equation of state")
    assert [trace["name"] for trace in chart["traces"]] == ["Cu", "Ni"]
    assert "Side by side" in page.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="output"):
        write_page(scans)


def test_what_files_say_is_text(dynamics: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(dynamics, folder)
    result = json.loads((folder / "result.json").read_text())
    result["reason"] = "</script><script>alert(1)</script>\x1b[31m"
    (folder / "result.json").write_text(json.dumps(result))
    text = write_page(folder).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("damage", ["log.csv", "trajectory.traj"])
def test_damaged_files_are_named_and_the_rest_is_shown(
    damage: str, dynamics: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(dynamics, folder)
    (folder / damage).write_bytes(b"\x00\xff not what it was")
    found = read_run(folder)
    assert found.notes
    assert found.numbers


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_page(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match=r"result\.json"):
        write_page(tmp_path)


def test_a_run_that_has_not_ended_has_a_page(dynamics: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(dynamics, folder)
    (folder / "result.json").unlink()
    assert "has not ended" in write_page(folder).read_text(encoding="utf-8")


def test_a_run_that_made_a_potential_tells_how_to_use_it(dynamics: Path, tmp_path: Path) -> None:
    assert "How to use the potential" not in write_page(dynamics).read_text(encoding="utf-8")
    folder = tmp_path / "my run"
    shutil.copytree(dynamics, folder)
    (folder / "potential").mkdir()
    uses = read_run(folder).uses
    assert list(uses) == ["Python", "dynamics"]
    assert shlex.split(uses["dynamics"])[-1] == str(folder / "potential")
    (folder / "committee").mkdir()
    assert shlex.split(read_run(folder).uses["with uncertainty"])[-1] == str(folder / "committee")
    assert "<h2>How to use the potential</h2>" in write_page(folder).read_text(encoding="utf-8")


def test_the_verb_and_the_flag(
    dynamics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(dynamics), "--output", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").is_file()
    molecule("CH3CH2OH").write(tmp_path / "ethanol.xyz")
    words = ["singlepoint", "--potential", "so3krates-rmd17-ethanol", "--structure"]
    words += [str(tmp_path / "ethanol.xyz"), "--report"]
    capsys.readouterr()
    assert main(words) == 2
    assert "--output" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "one")]) == 0
    assert (tmp_path / "one" / "report.html").is_file()


def test_a_new_run_takes_away_the_page_of_the_old_one(tmp_path: Path) -> None:
    atoms: Atoms = bulk("Cu")
    eos(atoms, EMT(), EOSSettings(), output=tmp_path, progress=False)
    write_page(tmp_path)
    eos(atoms, EMT(), EOSSettings(), output=tmp_path, overwrite=True, progress=False)
    assert not (tmp_path / "report.html").exists()


# Turns the view as a user's mouse does, and leaves what came of it where the test reads it.
_TURN = """
<script>
const told = [];
console.error = (...words) => told.push(words.join(" "));
window.addEventListener("error", (event) => told.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => told.push(event.blockedURI));
const wait = setInterval(async () => {
  if (document.body.dataset.drawn !== "yes") return;
  clearInterval(wait);
  const place = document.getElementById("view-0");
  const eye = () => JSON.stringify(place._fullLayout.scene._scene.getCamera().eye);
  const before = eye();
  await Plotly.relayout(place, { "scene.camera.eye": { x: -1, y: 2, z: 1 } });
  document.body.dataset.turned = String(before !== eye());
  document.body.dataset.shares = document.querySelectorAll("[data-title*='Share']").length;
  document.body.dataset.errors = told.join("; ");
  const asked = performance.getEntriesByType("resource").map((one) => one.name);
  document.body.dataset.asked = asked.filter((name) => !/^(blob|data):/.test(name)).join(" ");
  document.body.dataset.charts = document.querySelectorAll(".chart svg.main-svg").length;
}, 50);
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_a_browser_draws_it_without_errors_or_requests(dynamics: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_page(dynamics, page)
    page.write_text(page.read_text(encoding="utf-8").replace("<style>", f"{_TURN}<style>", 1))
    done = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", "--enable-unsafe-swiftshader",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=20000", "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    body = re.search(r"<body([^>]*)>", done.stdout)
    assert body is not None
    assert 'data-drawn="yes"' in body[1]
    assert 'data-turned="true"' in body[1]
    assert 'data-errors=""' in body[1]
    assert 'data-charts="0"' not in body[1]
    assert 'data-asked=""' in body[1]
    assert 'data-shares="0"' in body[1]
