"""Folders of the user's own files, by the habits of the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ase_geomformer.machine.files import expanded

DATA_VARIABLE = "ASE_GEOMFORMER_DATA"


def user_folder() -> Path:
    """The user's own folder, where potentials and data sets are put that were downloaded by name.

    ``$ASE_GEOMFORMER_DATA`` if it is set; else the folder ``ase-geomformer`` in
    ``$XDG_DATA_HOME`` or in what the system has for data of applications:
    ``~/Library/Application Support`` on macOS, ``%LOCALAPPDATA%`` on Windows, ``~/.local/share``
    elsewhere.
    """
    if os.environ.get(DATA_VARIABLE):
        return expanded(os.environ[DATA_VARIABLE])
    home = Path.home()
    usual = {
        "darwin": home / "Library" / "Application Support",
        "win32": Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"),
    }.get(sys.platform, home / ".local" / "share")
    return Path(os.environ.get("XDG_DATA_HOME") or usual) / "ase-geomformer"
