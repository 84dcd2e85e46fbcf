"""DataSettings: which file holds the labelled structures, under which keys, in which units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ase import units

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

Scalar = bool | int | float | str

ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "hartree": units.Hartree,
}
LENGTH_UNITS = {"Angstrom": 1.0, "bohr": units.Bohr}
STRESS_UNITS = {"eV/Angstrom^3": 1.0, "GPa": units.GPa, "kbar": 0.1 * units.GPa}
STRESS_SIGNS = {"tension": 1.0, "compression": -1.0}


@dataclass(frozen=True)
class DataSettings(Shown):
    """Labelled structures on disk.

    A key is a name in ``atoms.info``, ``atoms.arrays`` or the stored calculator results (extxyz,
    ASE db, traj) or an array of an npz archive. ``auto`` looks for the usual names: the ``REF_``
    ones first, then ASE's own results, then the letters of MD17. One name serves all frames, so
    that labels of two origins never mix. ``null`` leaves a label unread.

    Attributes
    ----------
    path
        File or files: .xyz and .extxyz (also .xz, .gz, .bz2), ASE .db and .traj, .npz, or another
        format that ase.io.read recognises; or by name from a data set that ``ase-geomformer data
        get`` has fetched, such as rmd17/rmd17_ethanol.npz.
    energy_key
        Name of the total energies; ``auto`` finds REF_energy, energy or E, one of which must exist.
    forces_key
        Name of the forces; ``auto`` finds REF_forces, forces or F, one of which must exist.
    stress_key
        Name of the stresses, 6 (Voigt xx yy zz yz xz xy), 9 or 3x3 numbers; ``auto`` finds
        REF_stress or stress, if there is one.
    charges_key
        Name of the atomic partial charges, e.
    dipole_key
        Name of the dipole moments, e times the length unit.
    energy_unit
        Unit of the energies: eV, meV, kcal/mol, kJ/mol or hartree.
    length_unit
        Unit of positions and cells: Angstrom or bohr.
    forces_unit
        Unit of the forces, such as hartree/bohr; by default from the two units above.
    stress_unit
        Unit of the stresses: eV/Angstrom^3, GPa or kbar.
    stress_sign
        Sign convention of the stresses: positive in ``tension`` (ASE) or in ``compression``
        (pressure).
    stress_offset_GPa
        Added to the diagonal of the stresses, positive in tension, to correct a constant error such
        as the Pulay stress of a plane-wave basis. A warning tells where data have one.
    select
        Use only frames whose entries have these values, or one of a list, where null stands for
        frames without the entry: ``{split_train: 1}``, ``{group: [Elastic, Vacancy]}``,
        ``{strain_mode: [1, 2, null]}``.
    max_force
        Skip frames with a larger force on any atom, eV/Å.
    skip_damaged
        Skip frames that cannot be used (labels that are NaN or have a wrong shape, no atoms,
        unknown elements) with a warning that names them, instead of stopping.
    positions_key
        npz only: name of the positions (F, N, 3); ``auto`` finds positions or R.
    numbers_key
        npz only: name of the atomic numbers (N,) or (F, N); ``auto`` finds numbers, atomic_numbers,
        z or Z.
    cell_key
        npz only: name of the cells (3, 3) or (F, 3, 3), vectors in rows; ``auto`` finds cell or
        lattice, if there is one.
    pbc_key
        npz only: name of the periodicity (3,) or (F, 3); ``auto`` finds pbc, and without it a
        structure with a cell is periodic.
    """

    path: str | list[str]
    energy_key: str | None = "auto"
    forces_key: str | None = "auto"
    stress_key: str | None = "auto"
    charges_key: str | None = None
    dipole_key: str | None = None
    energy_unit: str = "eV"
    length_unit: str = "Angstrom"
    forces_unit: str | None = None
    stress_unit: str = "eV/Angstrom^3"
    stress_sign: Literal["tension", "compression"] = "tension"
    stress_offset_GPa: float = ranged(0.0, -100, 100, "GPa")
    select: dict[str, Scalar | list[Scalar | None]] = field(default_factory=dict)
    max_force: float | None = ranged(None, 0, 1e9, "eV/Å", above=True)
    skip_damaged: bool = False
    positions_key: str = "auto"
    numbers_key: str = "auto"
    cell_key: str | None = "auto"
    pbc_key: str | None = "auto"

    def __post_init__(self) -> None:
        _check_known("energy_unit", self.energy_unit, ENERGY_UNITS)
        _check_known("length_unit", self.length_unit, LENGTH_UNITS)
        _check_known("stress_unit", self.stress_unit, STRESS_UNITS)
        _check_known("stress_sign", self.stress_sign, STRESS_SIGNS)
        if self.forces_unit is not None:
            energy, _, length = self.forces_unit.rpartition("/")
            _check_known("the energy in forces_unit", energy, ENERGY_UNITS)
            _check_known("the length in forces_unit", length, LENGTH_UNITS)
        check_settings(self)
        if not self.paths:
            raise ValueError("path is an empty list; name at least one file")

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, also where only one is given."""
        return (self.path,) if isinstance(self.path, str) else tuple(self.path)

    @property
    def factors(self) -> dict[str, float]:
        """What turns the file's numbers into eV, Å and e: one per target, and ``length``."""
        energy, length = ENERGY_UNITS[self.energy_unit], LENGTH_UNITS[self.length_unit]
        forces = energy / length
        if self.forces_unit is not None:
            per_energy, _, per_length = self.forces_unit.rpartition("/")
            forces = ENERGY_UNITS[per_energy] / LENGTH_UNITS[per_length]
        return {
            "length": length,
            "energy": energy,
            "forces": forces,
            "stress": STRESS_UNITS[self.stress_unit] * STRESS_SIGNS[self.stress_sign],
            "charges": 1.0,
            "dipole": length,
        }


def _check_known(name: str, value: str, table: Mapping[str, float]) -> None:
    if value not in table:
        raise ValueError(f"{name} is {value!r}; known are {', '.join(table)}")
