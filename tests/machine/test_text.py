"""Text from files is text: neither markup nor commands to the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ase_geomformer.cli import main
from ase_geomformer.machine.text import printable
from ase_geomformer.runs.plain import to_json

# A title for the window, a colour, a bell, the 8-bit form of the first, and letters turned around.
COMMANDS = "\x1b]0;owned\x07 \x1b[31mred \x07 \x9b2J \u202egnp.exe"
MARKUP = "[/red] [bold] [link=http://x] \\"


@pytest.mark.parametrize(
    "letter", ["\x1b", "\x07", "\x9b", "\x00", "\x7f", "\r", "\u202e", "\ud800"]
)
def test_what_drives_a_terminal_is_replaced(letter: str) -> None:
    assert printable(f"a{letter}b") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("text", ["", "Å, ×, −", "two\nlines\tand a tab", "日本", "[red]"])
def test_text_stays(text: str) -> None:
    assert printable(text) == text


def test_json_reaches_no_terminal_as_a_command() -> None:
    text = to_json({"name": COMMANDS, "half": "\ud800", "letters": "Å"})
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "Å" in text
    assert json.loads(text)["name"] == COMMANDS


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A potential whose card is full of markup and commands."""
    from ase_geomformer import list_potentials

    folder = tmp_path / "hostile"
    folder.mkdir()
    shipped = list_potentials()["so3krates-rmd17-ethanol"]
    card = json.loads((shipped / "card.json").read_text())
    card["name"] = card["description"] = card["licence"] = COMMANDS + MARKUP
    card["data"][0]["name"] = card["data"][0]["level_of_theory"] = COMMANDS + MARKUP
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "model.safetensors").write_bytes((shipped / "model.safetensors").read_bytes())
    return folder


@pytest.mark.parametrize("action", ["list", "show", "verify"])
def test_cards_are_shown_as_they_are(
    hostile: Path,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ase_geomformer.registry._shipped_folder", lambda: hostile.parent)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["models", action, *([str(hostile)] if action == "show" else [])]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    if action != "verify":
        assert "[bold]" in shown
        assert "[/red]" in shown


def test_errors_quote_without_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", f"no{COMMANDS}\nwhere"]) == 2
    shown = capsys.readouterr().err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert len(shown.splitlines()) == 1
