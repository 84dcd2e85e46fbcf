"""The registry: names of potentials and their folders."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ase_geomformer.checkpoint.card import CARD_FILE
from ase_geomformer.machine.files import expanded, recover_folder, recover_folders
from ase_geomformer.machine.places import user_folder

if TYPE_CHECKING:
    import torch

    from ase_geomformer.checkpoint.obtainable import Obtainable
    from ase_geomformer.physics import LongRangeCutoff
    from ase_geomformer.potential import Potential

SHIPPED_PACKAGE = "ase_geomformer_potentials"
FOLDERS_VARIABLE = "ASE_GEOMFORMER_POTENTIALS"


def search_folders() -> list[Path]:
    """Where named potentials are looked for, first match wins.

    The folders listed in ``$ASE_GEOMFORMER_POTENTIALS``, then the potentials shipped with the
    package, then the user's own folder.
    """
    listed = os.environ.get(FOLDERS_VARIABLE, "")
    return [
        *(Path(folder) for folder in listed.split(os.pathsep) if folder),
        _shipped_folder(),
        user_folder(),
    ]


def list_potentials() -> dict[str, Path]:
    """Names and folders of all available potentials, sorted by name."""
    found: dict[str, Path] = {}
    for folder in search_folders():
        recover_folders(folder)
        for card in sorted(folder.glob(f"[!.]*/{CARD_FILE}")):
            found.setdefault(card.parent.name, card.parent)
    return dict(sorted(found.items()))


def find_potential(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a potential, given its name or its path.

    Raises
    ------
    FileNotFoundError
        If there is no such potential; the message lists the available ones.
    """
    known = list_potentials()
    name = os.fspath(name_or_path)
    if name in known:
        return known[name]
    path = expanded(name)
    if path.name == CARD_FILE:
        path = path.parent
    recover_folder(path)
    # Imported here: converters take as long as all else together, and few names are unknown.
    from ase_geomformer.checkpoint.obtainable import OBTAINABLE

    # A folder of such a name without a card may be a checkout of the potential's own code.
    if path.is_dir() and not (name in OBTAINABLE and not (path / CARD_FILE).exists()):
        return path
    raise FileNotFoundError(_unknown(name, known, OBTAINABLE))


def _unknown(name: str, known: Collection[str], obtainable: Mapping[str, Obtainable]) -> str:
    """Error message for an unknown name."""
    lowered = {entry.lower(): entry for entry in (*known, *obtainable)}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    meant = lowered[near[0]] if near else ""
    if meant in obtainable and meant not in known:
        row = obtainable[meant]
        said = "" if meant == name else f" Did you mean {meant!r}?"
        return (
            f"There is no potential {name!r} on this machine.{said} This command gets {meant} "
            f"({row.wheel_bytes / 1e6:.0f} MB, {row.licence} licence): "
            f"ase-geomformer models get {meant}"
        )
    hint = f" Did you mean {meant!r}?" if meant else ""
    return (
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
        float32 or float64; by default the dtype of the potential's weights.
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
        If the device is not available, the dtype is not supported, or a long-range cutoff is given
        for a potential without long-range terms.
    """
    # Listing potentials needs no torch.
    from ase_geomformer.checkpoint.folder import load_folder
    from ase_geomformer.machine.devices import resolve_device, resolve_dtype

    place, kind = resolve_device(device), resolve_dtype(dtype)
    potential = load_folder(find_potential(name_or_path))
    return potential.copy(device=place, dtype=kind, long_range_cutoff=long_range_cutoff)


def _shipped_folder() -> Path:
    """The folder of the shipped potentials: installed, or beside the package in a checkout."""
    try:
        return Path(str(resources.files(SHIPPED_PACKAGE)))
    except ModuleNotFoundError:
        return Path(__file__).resolve().parents[1] / "potentials"
