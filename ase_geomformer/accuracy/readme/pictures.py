"""The pictures of a potential's folder in its README, with their captions."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

CAPTIONS = {
    "parity": "Predictions against references, and the distribution of errors",
    "errors_by_element": "Force errors by element",
    "learning_curve": "Errors during training",
    "drift": "Energy by time in dynamics at constant energy",
    "stability": "Distances of atoms in dynamics at constant temperature, beside the data's",
    "dimers": "Energy and force of two atoms alone, by element",
    "phonons": "Phonon dispersion, and the references as dots",
}
"""By the beginning of a picture's name, in the order in which pictures are shown."""


def pictures(folder: Path, apart: Collection[str] = ()) -> str:
    """All PNG pictures of a folder but those named, in order of their captions."""

    def place(path: Path) -> tuple[int, str]:
        starts = [i for i, start in enumerate(CAPTIONS) if path.stem.startswith(start)]
        return (starts[0] if starts else len(CAPTIONS), path.name)

    found = (path for path in folder.glob("*.png") if path.name not in apart)
    return "\n\n".join(picture(path.name) for path in sorted(found, key=place))


def picture(name: str) -> str:
    """A picture with its caption."""
    return f"![{_caption(Path(name).stem)}]({name})"


def _caption(stem: str) -> str:
    for start, caption in CAPTIONS.items():
        if stem.startswith(start):
            rest = stem.removeprefix(start).strip("_")
            return f"{caption}: {rest}" if rest else caption
    return stem.replace("_", " ")
