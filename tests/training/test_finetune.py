from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ase_geomformer import evaluate_many, load_potential
from ase_geomformer.checkpoint.folder import Card, DataSource, save_potential
from ase_geomformer.cli import main
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.potential import Potential
from ase_geomformer.training import run as run_module
from ase_geomformer.training.initial import with_ancestry
from ase_geomformer.training.losses import LossSettings, TargetLoss
from ase_geomformer.training.module import TrainingModule
from ase_geomformer.training.run import train
from ase_geomformer.training.settings import CardSettings, ModelSettings, TrainSettings
from ase_geomformer.training.settings_file import to_yaml

SHIFTS = {"H": 0.5, "C": -2.0, "O": 100.0}


@pytest.fixture(scope="module", autouse=True)
def only_weights() -> Any:
    """Of what a training leaves behind, write the potential alone: the rest takes longer."""

    def finish(settings: Any, folder: Path, potential: Potential, parts: Any) -> None:
        save_potential(potential, folder / "potential", Card("test"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "finish", finish)
        yield


@pytest.fixture(scope="module")
def start(settings: Callable[..., TrainSettings], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A potential to begin with."""
    folder = tmp_path_factory.mktemp("start") / "run"
    train(settings(), folder)
    return folder / "potential"


@pytest.fixture
def finetune(settings: Callable[..., TrainSettings], start: Path, tmp_path: Path) -> Callable:
    """Run the verb on a file of settings, and return its code and the folder of the run."""

    def run(*options: str, name: str = "fine", **changes: Any) -> tuple[int, Path]:
        config = tmp_path / f"{name}.yaml"
        config.write_text(to_yaml(settings(**{"model": {"settings": {}}, **changes})))
        folder = tmp_path / name
        arguments = ["--potential", str(start), str(config), "--output", str(folder)]
        return main(["finetune", *arguments, *options]), folder

    return run


def energies(potential: Potential | Path, data: TrainSettings) -> np.ndarray:
    frames = read_frames(data.data)[:5]
    results = evaluate_many([frame.atoms for frame in frames], potential, ("energy",))
    return np.array([result["energy"] for result in results])


def test_it_begins_with_the_potential(
    finetune: Callable, start: Path, settings: Callable[..., TrainSettings]
) -> None:
    still = {"learning_rate": 1e-30, "final_learning_rate": 1e-30}
    code, folder = finetune(optimizer=still, steps=2)
    assert code == 0
    before, after = (
        load_file(place / "model.safetensors") for place in (start, folder / "potential")
    )
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    again, potential = load_potential(start), load_potential(folder / "potential")
    assert potential.architecture.settings == again.architecture.settings
    # Centred on the same frames once more: 4e-16 eV of rounding.
    assert potential.reference_energies == pytest.approx(again.reference_energies, rel=0, abs=1e-14)
    assert potential.energy_scale == again.energy_scale
    np.testing.assert_allclose(
        energies(potential, settings()), energies(start, settings()), rtol=0, atol=1e-12
    )


def test_frozen_parameters_stay_to_the_bit(finetune: Callable, start: Path) -> None:
    """Weight decay and averaging, too, pass them by; all others move."""
    pattern = "architecture.layers.*"
    decay = {"weight_decay": 0.1}
    code, folder = finetune(model={"settings": {}, "freeze": [pattern]}, optimizer=decay)
    assert code == 0
    before = load_file(start / "model.safetensors")
    after = load_file(folder / "potential/model.safetensors")
    parameters = {name for name, _ in load_potential(start).named_parameters()}
    layers = {name for name in parameters if name.startswith("architecture.layers.")}
    assert layers
    assert parameters - layers
    for name in parameters:
        assert torch.equal(before[name], after[name]) == (name in layers), name


def test_given_reference_energies_shift_predictions(
    finetune: Callable, start: Path, settings: Callable[..., TrainSettings]
) -> None:
    old = load_potential(start).reference_energies
    new = {symbol: old[symbol] + shift for symbol, shift in SHIFTS.items()}
    still = {"learning_rate": 1e-30, "final_learning_rate": 1e-30}
    model = {"settings": {}, "reference_energies_eV": {"O": new["O"], "C": new["C"]}}
    code, folder = finetune(model=model, optimizer=still, steps=1)
    assert code == 0
    moved = energies(folder / "potential", settings()) - energies(start, settings())
    np.testing.assert_allclose(moved, SHIFTS["O"] + SHIFTS["C"], atol=1e-9)


def test_refitted_references_take_up_another_level_of_theory(
    finetune: Callable,
    start: Path,
    settings: Callable[..., TrainSettings],
    tmp_path: Path,
    h2co: Path,
) -> None:
    """Data whose atoms have other energies: the potential is as good on them as on its own."""
    shift = 2 * SHIFTS["H"] + SHIFTS["C"] + SHIFTS["O"]
    with np.load(h2co) as data:
        arrays = dict(data)
    np.savez(tmp_path / "other.npz", **{**arrays, "E": arrays["E"] + shift})
    still = {"learning_rate": 1e-30, "final_learning_rate": 1e-30}
    model = {"settings": {}, "refit_references": True}
    other = ["--data.path", str(tmp_path / "other.npz")]
    code, folder = finetune(*other, model=model, optimizer=still, steps=1)
    assert code == 0
    moved = energies(folder / "potential", settings()) - energies(start, settings())
    assert np.ptp(moved) < 1e-9  # one composition: one shift
    # So far off, they are refitted without being asked.
    code, unasked = finetune(*other, name="unasked", optimizer=still, steps=1)
    assert code == 0
    again = energies(unasked / "potential", settings()) - energies(start, settings())
    np.testing.assert_allclose(again, moved, atol=1e-9)
    code, own = finetune(name="own", model=model, optimizer=still, steps=1)
    assert code == 0
    difference = energies(folder / "potential", settings()) - energies(
        own / "potential", settings()
    )
    np.testing.assert_allclose(difference, shift, atol=1e-6)


def test_the_card_tells_what_it_was_made_of(
    settings: Callable[..., TrainSettings], tmp_path: Path, make_potential: Callable[..., Potential]
) -> None:
    """Data, citations and licence of the potential to fine-tune are those of the result, too."""
    source = DataSource("frames", "CC0-1.0", "A. Author (2020)", "PBE", 10)
    card = Card("parent", "For all.", "MIT", ["A. Author (2020)"], [source])
    save_potential(make_potential("H C O"), tmp_path / "parent", card)
    own = DataSource("more", "MIT", "B. Author (2021)", "CCSD(T)", 5)
    config = settings(model={"settings": {}})
    config = replace(
        config,
        model=replace(config.model, start_from=str(tmp_path / "parent")),
        card=CardSettings(citations=["B. Author (2021)"], data=[own]),
    )
    told = with_ancestry(config).card
    assert told.licence == "MIT"
    assert told.citations == ["A. Author (2020)", "B. Author (2021)"]
    assert told.data == [source, own]
    sha256 = load_potential(tmp_path / "parent").card.sha256
    assert told.description == f"Fine-tuned from parent (sha256 {sha256}): For all."
    assert with_ancestry(with_ancestry(config)) == with_ancestry(config)
    assert with_ancestry(settings()) == settings()


def test_so3lr_keeps_its_long_range(
    so3lr: Path | None, settings: Callable[..., TrainSettings], shared: Path, tmp_path: Path
) -> None:
    """Terms and total charge stay; energies come to the level of the data, errors fall."""
    if so3lr is None:
        pytest.skip("SO3LR is not on this machine: ase-geomformer models get so3lr")
    config = settings(
        model={"settings": {}},
        optimizer={"learning_rate": 2e-4, "warmup_steps": 5},
        split={"train": 20, "validation": 0},
        steps=25,
    )
    config = replace(
        config,
        data=DataSettings(
            str(shared / "data/h2co_ccsdt/h2co_ccsdt_4001.npz"),
            dipole_key="dipole",
            select={"split200": 0},
        ),
        model=replace(config.model, start_from=str(so3lr)),
        loss=LossSettings(dipole=TargetLoss(weight=1.0)),
    )
    frames = read_frames(config.data)[60:80]
    before, tuned = load_potential(so3lr), train(config, tmp_path / "run").potential
    assert set(tuned.terms_settings) == {"zbl", "electrostatics", "dispersion"}
    assert tuned.terms_settings["electrostatics"]["truncation"] == "neutral"
    structures = [frame.atoms for frame in frames]
    for charge in (0, 1):
        for atoms in structures:
            atoms.info["charge"] = charge
        found = evaluate_many(structures, tuned, ("charges",), dtype="float64", device="cpu")
        np.testing.assert_allclose([one["charges"].sum() for one in found], charge, atol=1e-9)
    for atoms in structures:
        atoms.info["charge"] = 0

    def errors(potential: Potential) -> list[float]:
        found = evaluate_many(structures, potential, ("energy", "forces", "dipole"), device="cpu")
        return [
            float(
                np.mean(
                    np.abs(
                        [one[name] - getattr(f, name) for one, f in zip(found, frames, strict=True)]
                    )
                )
            )
            for name in ("energy", "forces", "dipole")
        ]

    old, new = errors(before), errors(tuned)
    assert old[0] > 1.0
    assert new[0] < 0.05
    assert new[1] < 0.5 * old[1]
    assert new[2] < 0.02


def test_it_resumes_to_the_bit(
    finetune: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as the message says: with train and the settings that the run has written."""
    _, whole = finetune(name="whole")
    with monkeypatch.context() as patch:
        patch.setattr(
            TrainingModule,
            "on_train_batch_start",
            lambda self, *_: signal.raise_signal(signal.SIGTERM) if self.global_step == 7 else None,
        )
        code, folder = finetune(name="broken")
    assert code == 1
    assert main(["train", str(folder / "settings.yaml"), "--output", str(folder), "--resume"]) == 0
    weights = [(run / "potential/model.safetensors").read_bytes() for run in (whole, folder)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"settings": {"cutoff": 3.0}}, "model.settings cannot be set for fine-tuning"),
        ({"terms": {"zbl": {}}}, "model.terms cannot be set for fine-tuning"),
        ({"refit_references": True, "reference_energies_eV": {"H": 1.0}}, "not both"),
    ],
)
def test_what_fine_tuning_cannot_do(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelSettings(start_from="anything", **values)


def test_unknown_elements_are_named(
    finetune: Callable, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(shared / "data/mlearn/Si_train.xyz.xz")
    code, folder = finetune("--data.path", path)
    assert code == 2
    assert "does not know Si (Z=14); it was made for H, C, O" in capsys.readouterr().err
    assert not folder.exists()
