"""Where the files of data sets are, and finding them by name."""

from __future__ import annotations

import os
from pathlib import Path

from ase_geomformer.data.public.rows import DATA_SETS, DataSet
from ase_geomformer.machine.files import expanded
from ase_geomformer.machine.places import user_folder

FOLDERS_VARIABLE = "ASE_GEOMFORMER_DATASETS"


def own_folder() -> Path:
    """The folder that ``ase-geomformer data get`` puts data sets into."""
    return user_folder() / "datasets"


def search_folders() -> list[Path]:
    """Where data sets are looked for by name: those of the variable, then the user's own folder."""
    listed = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [*(expanded(folder) for folder in listed if folder), own_folder()]


def here(row: DataSet) -> list[Path]:
    """The files of a set that are on this machine."""
    found = []
    for file in row.files:
        places = (folder / row.name / file.name for folder in search_folders())
        found += [path for path in places if path.is_file()][:1]
    return found


def find_data_file(name_or_path: str) -> Path:
    """A file by its path, or by its name in a data set, such as ``rmd17/rmd17_ethanol.npz``.

    Raises
    ------
    FileNotFoundError
        If it is not there; the message says how to get it.
    """
    path = expanded(name_or_path)
    if path.is_file():
        return path
    data_set, _, name = name_or_path.partition("/")
    if data_set in DATA_SETS:
        for folder in search_folders():
            if (found := folder / data_set / name).is_file():
                return found
        known = [file.name for file in DATA_SETS[data_set].files]
        if name in known:
            raise FileNotFoundError(
                f"{name_or_path} is not on this machine. This command gets it: ase-geomformer data "
                f"get {name_or_path}. If you have it, give its path, or add the folder that "
                f"{data_set} is in to ${FOLDERS_VARIABLE}"
            )
        raise FileNotFoundError(f"the data set {data_set} has no {name!r}, but {', '.join(known)}")
    raise FileNotFoundError(f"no data file {path} (looked from {Path.cwd()})")
