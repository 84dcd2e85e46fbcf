"""Names of potentials to the folders they live in."""

from __future__ import annotations

import difflib
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ase_geomformer.checkpoint.folder import CARD_FILE, load_folder
from ase_geomformer.machine.devices import resolve_device, resolve_dtype

if TYPE_CHECKING:
    from ase_geomformer.physics import LongRangeCutoff
    from ase_geomformer.potential import Potential

SHIPPED_PACKAGE = "ase_geomformer_potentials"
FOLDERS_VARIABLE = "ASE_GEOMFORMER_POTENTIALS"


def search_folders() -> list[Path]:
    """Where named potentials are looked for, first match wins.

    The folders listed in ``$ASE_GEOMFORMER_POTENTIALS``, then the user's data folder
    (``$XDG_DATA_HOME/ase-geomformer`` or ``~/.local/share/ase-geomformer``), then the
    potentials shipped with the package.
    """
    listed = os.environ.get(FOLDERS_VARIABLE, "")
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return [
        *(Path(folder) for folder in listed.split(os.pathsep) if folder),
        Path(data_home) / "ase-geomformer",
        _shipped_folder(),
    ]


def list_potentials() -> dict[str, Path]:
    """Names of all potentials at hand and their folders, sorted by name."""
    found: dict[str, Path] = {}
    for folder in search_folders():
        for card in sorted(folder.glob(f"*/{CARD_FILE}")):
            found.setdefault(card.parent.name, card.parent)
    return dict(sorted(found.items()))


def find_potential(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a potential, given its name or its path.

    Raises
    ------
    FileNotFoundError
        If there is no such potential; the message lists those at hand.
    """
    known = list_potentials()
    name = os.fspath(name_or_path)
    if name in known:
        return known[name]
    path = Path(name).expanduser()
    if path.name == CARD_FILE:
        path = path.parent
    if path.is_dir():
        return path
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise FileNotFoundError(
        f"There is no potential {name!r}.{hint} Known: {', '.join(known) or 'none'}. "
        f"Give one of these names, the path of a potential's folder, or add your folders "
        f"to ${FOLDERS_VARIABLE}."
    )


def load_potential(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str | None = None,
    long_range_cutoff: LongRangeCutoff = "auto",
) -> Potential:
    """Load a potential by name or path.

    Parameters
    ----------
    name_or_path : str or path
        A name that :func:`list_potentials` lists, or the path of a potential's folder.
    device : torch.device or str
        ``"auto"`` is CUDA where there is one, else the CPU.
    dtype : torch.dtype or str, optional
        Type to compute in, float32 or float64; the type of its weights when left out.
    long_range_cutoff : float, optional
        Cutoff in Å of electrostatics and dispersion, None for no cutoff; that of the potential's
        card with ``"auto"``.

    Raises
    ------
    FileNotFoundError
        If there is no such potential.
    CheckpointError
        If its folder is damaged.
    ValueError
        If this machine has no such device, the type is another, or a long-range cutoff is given
        for a potential without long-range terms.
    """
    place, kind = resolve_device(device), resolve_dtype(dtype)
    potential = load_folder(find_potential(name_or_path))
    return potential.copy(device=place, dtype=kind, long_range_cutoff=long_range_cutoff)


def _shipped_folder() -> Path:
    """The folder of the shipped potentials: installed, or beside the package in a checkout."""
    try:
        return Path(str(resources.files(SHIPPED_PACKAGE)))
    except ModuleNotFoundError:
        return Path(__file__).resolve().parents[1] / "potentials"
