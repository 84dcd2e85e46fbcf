"""A potential on disk: round trips, every kind of damage, versions, golden vectors."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from safetensors.torch import load_file, save_file

from ase_geomformer import PotentialCalculator
from ase_geomformer.checkpoint import card as card_module
from ase_geomformer.checkpoint import folder as checkpoint
from ase_geomformer.checkpoint.folder import (
    CARD_FILE,
    WEIGHTS_FILE,
    Card,
    CheckpointError,
    DataSource,
    load_folder,
    read_card,
    save_potential,
    verify,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick


@pytest.fixture
def card() -> Card:
    source = DataSource("water", "CC-BY", "A. Author (2024)", "PBE/def2-TZVP", 1000)
    return Card("test", data=[source], figures={"forces_mae_meV_per_A": 4.2}, licence="MIT")


@pytest.fixture
def folder(
    tmp_path: Path, make_potential: Callable, card: Card, ethanol: Atoms, silicon: Atoms
) -> Path:
    """A saved potential with two golden vectors."""
    ethanol.info.update(charge=1, spin=2)
    potential = make_potential(reference_energies={"C": -1029.413065912345})
    save_potential(potential, tmp_path / "saved", card, [ethanol, silicon])
    return tmp_path / "saved"


def edit_card(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps({**content, **changes}))


def sign(folder: Path) -> None:
    """Write the checksum of the weights into the card, as one who wants to deceive would."""
    edit_card(folder, sha256=hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_is_exact(
    dtype: torch.dtype, tmp_path: Path, make_potential: Callable, card: Card, silicon: Atoms
) -> None:
    saved = make_potential(reference_energies={"Si": -7881.0123456789}).copy(dtype=dtype)
    written = save_potential(saved, tmp_path / "here", card)
    loaded = load_folder(tmp_path / "here")
    assert loaded.dtype == dtype
    assert loaded.card == written == read_card(tmp_path / "here")
    assert loaded.elements == saved.elements
    assert not any(weight.requires_grad for weight in loaded.parameters())
    graph = AtomGraph.from_atoms(silicon, saved.cutoff, dtype=dtype)
    for name in ("energy", "forces"):
        assert torch.equal(loaded(graph)[name], saved(graph)[name])


def test_float64_from_float32_weights_has_exact_constants(
    tmp_path: Path, make_potential: Callable, card: Card
) -> None:
    save_potential(make_potential().copy(dtype=torch.float32), tmp_path / "here", card)
    exact = load_folder(tmp_path / "here").copy(dtype=torch.float64)
    expected = make_potential().get_buffer("architecture.harmonics.coefficients")
    assert torch.equal(exact.get_buffer("architecture.harmonics.coefficients"), expected)


def test_card_is_completed_from_the_potential(folder: Path, card: Card) -> None:
    completed = read_card(folder)
    assert completed.architecture == "so3krates"
    assert completed.elements == ["H", "C", "O", "Si"]
    assert completed.cutoff_A == 5.0
    assert completed.dtype == "float64"
    assert completed.num_parameters == sum(
        tensor.numel() for tensor in load_file(folder / WEIGHTS_FILE).values()
    )
    assert completed.data == card.data
    assert completed.level_of_theory == "PBE/def2-TZVP"


def test_folder_holds_two_files_others_can_read(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == [CARD_FILE, WEIGHTS_FILE]
    assert list(folder.parent.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o500 == 0o500


def test_golden_vectors_agree_where_they_were_made(folder: Path) -> None:
    differences = verify(load_folder(folder))
    assert set(differences) == {"energy_eV_per_atom", "forces_eV_per_A", "stress_eV_per_A3"}
    assert max(differences.values()) < 1e-9
    golden = read_card(folder).golden
    assert (golden[0].charge, golden[0].spin, golden[0].stress) == (1.0, 2.0, None)
    assert np.shape(golden[1].stress) == (3, 3)


def test_golden_vectors_show_a_change_of_the_weights(folder: Path) -> None:
    potential = load_folder(folder)
    with torch.no_grad():
        potential.architecture.energy_head.final.weight.mul_(1.001)
    differences = verify(potential)
    assert all(value > 1e-6 for value in differences.values()), differences


def test_golden_vectors_show_an_edited_energy_zero(folder: Path) -> None:
    edit_card(folder, reference_energies_eV={"C": -1029.4})
    differences = verify(load_folder(folder))
    assert differences["energy_eV_per_atom"] == pytest.approx(0.013065912345 * 2 / 9, rel=1e-6)
    assert differences["forces_eV_per_A"] < 1e-9


def test_verify_needs_golden_vectors(potential: Potential) -> None:
    with pytest.raises(CheckpointError, match="no golden vectors"):
        verify(potential)


def truncate(folder: Path) -> None:
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[: len(content) // 2])


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-100] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)


def change_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        state = load_file(folder / WEIGHTS_FILE)
        change(state)
        save_file(state, folder / WEIGHTS_FILE)
        sign(folder)

    return damage


def sign_truncated(folder: Path) -> None:
    truncate(folder)
    sign(folder)


def drop(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = json.loads((folder / CARD_FILE).read_text())
        del content[name]
        (folder / CARD_FILE).write_text(json.dumps(content))

    return damage


def edit(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_card(folder, **changes)


def replace_in_card(folder: Path, old: str, new: str) -> None:
    text = json.dumps(json.loads((folder / CARD_FILE).read_text()))
    assert old in text
    (folder / CARD_FILE).write_text(text.replace(old, new))


def edit_golden(folder: Path, **changes: Any) -> None:
    first, *others = json.loads((folder / CARD_FILE).read_text())["golden"]
    edit_card(folder, golden=[{**first, **changes}, *others])


def ragged(folder: Path) -> None:
    edit_golden(folder, forces=[[0.0, 0.0, 0.0]])


def setting(**changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        settings = json.loads((folder / CARD_FILE).read_text())["settings"]
        edit_card(folder, settings={**settings, **changes})

    return damage


def link(path: Path, target: Path | str) -> None:
    path.unlink()
    path.symlink_to(target)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_for(path: Path) -> None:
    path.unlink()
    path.mkdir()


EMBEDDING = "architecture.element_embedding.weight"
HEAD = "architecture.energy_head.final.bias"

DAMAGES: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "no card": (lambda folder: (folder / CARD_FILE).unlink(), CARD_FILE, "cannot be read"),
    "no weights": (lambda folder: (folder / WEIGHTS_FILE).unlink(), WEIGHTS_FILE, "cannot be read"),
    "truncated": (truncate, WEIGHTS_FILE, "truncated or was altered"),
    "flipped bit": (flip_a_bit, WEIGHTS_FILE, "truncated or was altered"),
    "signed rubbish": (sign_truncated, WEIGHTS_FILE, "not a safetensors file"),
    "NaN": (change_weights(lambda s: s[HEAD].fill_(torch.nan)), WEIGHTS_FILE, f"{HEAD}' hold NaN"),
    "infinite": (change_weights(lambda s: s[HEAD].fill_(torch.inf)), WEIGHTS_FILE, "hold NaN or"),
    "wrong shape": (
        change_weights(lambda s: s.update({EMBEDDING: s[EMBEDDING][:, :3].clone()})),
        WEIGHTS_FILE,
        "do not fit",
    ),
    "weight missing": (change_weights(lambda s: s.pop(HEAD)), WEIGHTS_FILE, "do not fit"),
    "weight too many": (
        change_weights(lambda s: s.update(more=torch.ones(1))),
        WEIGHTS_FILE,
        "do not fit",
    ),
    "no JSON": (lambda f: (f / CARD_FILE).write_text('{"name": '), CARD_FILE, "not valid JSON"),
    "no text": (lambda f: (f / CARD_FILE).write_bytes(b"\xff\xfe{"), CARD_FILE, "not valid JSON"),
    "no object": (lambda f: (f / CARD_FILE).write_text("[1]"), CARD_FILE, "no format_version"),
    "no version": (drop("format_version"), CARD_FILE, "no format_version"),
    "newer version": (edit(format_version=99), CARD_FILE, "99.*upgrade ase-geomformer"),
    "version zero": (edit(format_version=0), CARD_FILE, "no format version 0"),
    "field missing": (drop("elements"), CARD_FILE, "missing fields.*elements"),
    "field unknown": (edit(colour="red"), CARD_FILE, "unknown fields.*colour"),
    "dtype unknown": (edit(dtype="float16"), CARD_FILE, "float16"),
    "architecture unknown": (edit(architecture="painn"), CARD_FILE, "painn.*so3krates"),
    "setting unknown": (edit(settings={"colour": 1}), CARD_FILE, "no setting 'colour'"),
    "setting impossible": (
        edit(settings={"cutoff": -1.0}),
        CARD_FILE,
        "cutoff = -1.0 must be positive",
    ),
    "other settings": (
        edit(settings={"num_features": 64, "avg_num_neighbors": 8.0}),
        WEIGHTS_FILE,
        "do not fit",
    ),
    "element unknown": (edit(elements=["H", "Xy"]), CARD_FILE, "'Xy' is not a chemical element"),
    "term unknown": (edit(terms={"magic": {}}), CARD_FILE, "unknown energy term 'magic'"),
    "golden vector broken": (edit(golden=[{"energy": 1.0}]), CARD_FILE, "GoldenVector"),
    "golden vector ragged": (ragged, CARD_FILE, r"forces of a GoldenVector of 9 atoms"),
    "golden vector in words": (
        lambda f: edit_golden(f, energy="low"),
        CARD_FILE,
        r"golden\[0\].energy is 'low', not of type float",
    ),
    "weights in half precision": (
        change_weights(lambda s: s.update({HEAD: s[HEAD].half()})),
        WEIGHTS_FILE,
        "is float16 .* where float64 .* is needed",
    ),
    "weights in integers": (
        change_weights(lambda s: s.update({HEAD: s[HEAD].to(torch.int8)})),
        WEIGHTS_FILE,
        "is int8 .* where float64",
    ),
    "weights of another dtype than the card": (
        edit(dtype="float32"),
        WEIGHTS_FILE,
        "is float64 .* where float32",
    ),
    "weights renamed": (
        change_weights(lambda s: s.update({"../../etc/passwd": s.pop(HEAD)})),
        WEIGHTS_FILE,
        "'../../etc/passwd', is float64",
    ),
    "weights empty": (lambda f: (f / WEIGHTS_FILE).write_bytes(b""), WEIGHTS_FILE, "truncated"),
    "card empty": (lambda f: (f / CARD_FILE).write_bytes(b""), CARD_FILE, "not valid JSON"),
    "card nested deeply": (
        lambda f: (f / CARD_FILE).write_text("[" * 200_000),
        CARD_FILE,
        "nested more than",
    ),
    "card with NaN": (edit(energy_scale_eV=float("nan")), CARD_FILE, "NaN is not a number in JSON"),
    "card with too large a number": (
        lambda f: replace_in_card(f, '"energy_scale_eV": 10.0', '"energy_scale_eV": 1e999'),
        CARD_FILE,
        "energy_scale_eV is inf, not a finite number",
    ),
    "scale that makes energies infinite": (
        edit(energy_scale_eV=1e308),
        CARD_FILE,
        "energy_scale_eV is 1e\\+308, not positive",
    ),
    "scale that turns energies round": (edit(energy_scale_eV=-1.0), CARD_FILE, "not positive"),
    "reference energies without end": (
        edit(reference_energies_eV={"H": 1e308, "C": 0.0, "O": 0.0}),
        CARD_FILE,
        "reference energy of H",
    ),
    "card with an integer without end": (
        lambda f: replace_in_card(
            f, '"energy_scale_eV": 10.0', f'"energy_scale_eV": 1{"0" * 9999}'
        ),
        CARD_FILE,
        "not valid JSON.*digits",
    ),
    "field of a wrong type": (edit(name=["x"]), CARD_FILE, r"name is \['x'\], not of type str"),
    "checksum of a wrong type": (edit(sha256=7), CARD_FILE, "sha256 is 7, not of type str"),
    "settings of a wrong type": (edit(settings=[]), CARD_FILE, r"settings is \[\], not a mapping"),
    "setting of a wrong type": (setting(cutoff="5"), CARD_FILE, "settings.cutoff is '5', not of"),
    "terms of a wrong type": (edit(terms={"zbl": 3}), CARD_FILE, "terms.zbl is 3, not a mapping"),
    "elements none": (edit(elements=[]), CARD_FILE, "at least one element"),
    "huge width": (
        setting(num_features=10**9),
        CARD_FILE,
        r"settings.num_features is 1e\+09, and no weight is longer than",
    ),
    "huge number of layers": (setting(num_layers=10**9), CARD_FILE, "settings.num_layers is 1e"),
    "huge degree": (setting(degrees=[1, 10**6]), CARD_FILE, r"settings.degrees is 1e\+06"),
    "negative width": (setting(num_features=-64), CARD_FILE, "num_features|negative"),
    "heads none": (setting(num_heads=0), CARD_FILE, "num_heads = 0 must be from 1"),
    "more weights than memory": (
        lambda f: os.truncate(f / WEIGHTS_FILE, 2**42),
        WEIGHTS_FILE,
        "4.4e\\+03 GB are more than",
    ),
    "a device for weights": (
        lambda f: link(f / WEIGHTS_FILE, "/dev/zero"),
        WEIGHTS_FILE,
        "not a regular file",
    ),
    "a pipe for a card": (lambda f: pipe(f / CARD_FILE), CARD_FILE, "not a regular file"),
    "a folder for a card": (lambda f: folder_for(f / CARD_FILE), CARD_FILE, "not a regular file"),
    "a link that leads nowhere": (
        lambda f: link(f / CARD_FILE, f / "gone"),
        CARD_FILE,
        "cannot be read",
    ),
    "a link to itself": (
        lambda f: link(f / WEIGHTS_FILE, f / WEIGHTS_FILE),
        WEIGHTS_FILE,
        "cannot be read",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_with_its_file(damage: str, folder: Path) -> None:
    apply, file, message = DAMAGES[damage]
    apply(folder)
    with pytest.raises(CheckpointError, match=rf"(?s){file}.*{message}"):
        load_folder(folder)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.*a potential is a folder with"):
        load_folder(tmp_path / "nowhere")


def test_a_link_out_of_the_folder_reveals_nothing(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    for name in (CARD_FILE, WEIGHTS_FILE):
        secret.write_text("password")
        link(folder / name, secret)
        with pytest.raises(CheckpointError) as caught:
            load_folder(folder)
        assert "password" not in str(caught.value)
        assert secret.read_text() == "password"


def test_links_of_a_download_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for name in (CARD_FILE, WEIGHTS_FILE):
        (folder / name).rename(tmp_path / "blobs" / name)
        (folder / name).symlink_to(tmp_path / "blobs" / name)
    assert max(verify(load_folder(folder)).values()) < 1e-9


def test_a_name_is_no_path(folder: Path) -> None:
    edit_card(folder, name="../../outside")
    before = sorted(folder.parent.parent.rglob("*"))
    potential = load_folder(folder)
    assert PotentialCalculator(potential, device="cpu").parameters["potential"] == "../../outside"
    assert sorted(folder.parent.parent.rglob("*")) == before


def test_absurd_settings_take_no_memory(folder: Path) -> None:
    """A width that a weight allows, for a network that the weights are too few for."""
    state = {**load_file(folder / WEIGHTS_FILE), "long": torch.zeros(60_000)}
    save_file(state, folder / WEIGHTS_FILE)
    sign(folder)
    setting(num_features=60_000)(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"asks for .* GB, and no more than"):
        load_folder(folder)
    # Kilobytes; a single matrix of this width would be 29 GB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6


class Payload:
    """What a hostile file would run when unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.witness,))


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_a_pickle_is_never_run(dump: Callable, folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / "was-here"
    with (folder / WEIGHTS_FILE).open("wb") as file:
        dump({"weights": Payload(witness)}, file)
    sign(folder)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_folder(folder)
    assert not witness.exists()
    with (folder / WEIGHTS_FILE).open("rb") as file:
        torch.load(file, weights_only=False) if dump is torch.save else pickle.load(file)
    assert witness.exists(), "the payload would not have run in any case"


def test_old_cards_are_upgraded_step_by_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch, silicon: Atoms
) -> None:
    graph = AtomGraph.from_atoms(silicon, 5.0)
    expected = load_folder(folder)(graph)["energy"]
    content = json.loads((folder / CARD_FILE).read_text())
    content["radius"] = content["settings"].pop("cutoff") / 10.0
    content["format_version"] = 1
    (folder / CARD_FILE).write_text(json.dumps(content))

    def nanometres_to_angstroms(old: dict[str, Any]) -> dict[str, Any]:
        radius = old.pop("radius")
        return {**old, "radius_A": 10.0 * radius, "format_version": 2}

    def radius_to_settings(old: dict[str, Any]) -> dict[str, Any]:
        settings = {**old["settings"], "cutoff": old.pop("radius_A")}
        return {**old, "settings": settings, "format_version": 3}

    upgrades = {1: nanometres_to_angstroms, 2: radius_to_settings}
    monkeypatch.setattr(card_module, "FORMAT_VERSION", 3)
    monkeypatch.setattr(card_module, "UPGRADES", upgrades)
    upgraded = load_folder(folder)
    assert upgraded.card is not None
    assert upgraded.card.format_version == 3
    assert torch.equal(upgraded(graph)["energy"], expected)


def test_a_failure_while_saving_leaves_the_old_folder(
    folder: Path, make_potential: Callable, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fail(content: dict[str, Any]) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "card_text", fail)
    with pytest.raises(OSError, match="disk full"):
        save_potential(make_potential(seed=1), folder, card)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]


def test_saving_replaces_the_potential_and_nothing_else(
    folder: Path, make_potential: Callable, card: Card
) -> None:
    before = (folder / WEIGHTS_FILE).read_bytes()
    (folder / "thesis.txt").write_text("three years")
    (folder / "figures").mkdir()
    (folder / "figures" / "one.svg").write_text("<svg/>")
    (folder / "link").symlink_to("thesis.txt")
    save_potential(make_potential(seed=1), folder, card)
    names = sorted(file.name for file in folder.iterdir())
    assert names == [CARD_FILE, "figures", "link", WEIGHTS_FILE, "thesis.txt"]
    assert (folder / "thesis.txt").read_text() == "three years"
    assert (folder / "link").is_symlink()
    assert (folder / WEIGHTS_FILE).read_bytes() != before
    assert list(folder.parent.iterdir()) == [folder]
    load_folder(folder)


@pytest.mark.parametrize("number", [-1, 0, 119, 500, 10**30])
def test_golden_vectors_are_of_elements(folder: Path, number: int) -> None:
    content = json.loads((folder / CARD_FILE).read_text())
    content["golden"][0]["atomic_numbers"][0] = number
    (folder / CARD_FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=rf"card\.json: .*the atomic number {number}"):
        load_folder(folder)


def test_loading_leaves_the_random_state(folder: Path) -> None:
    state = torch.get_rng_state()
    load_folder(folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_card_refuses_numbers_json_cannot_hold(tmp_path: Path, potential: Potential) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_potential(potential, tmp_path / "here", Card("test", figures={"mae": float("nan")}))
    assert not (tmp_path / "here").exists()
