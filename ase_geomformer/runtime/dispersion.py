"""Dispersion corrections of density functionals, D3 and D4, added to what a potential gives."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from ase_geomformer.graph.structure import electrons
from ase_geomformer.neighbors.problem import complete_cells
from ase_geomformer.potential import Potential

# Cutoffs in Å: those that the libraries have by default.
PAIR_CUTOFF = 60.0 * units.Bohr
TRIPLE_CUTOFF = 40.0 * units.Bohr
COORDINATION_CUTOFF = {"dftd3": 40.0 * units.Bohr, "dftd4": 30.0 * units.Bohr}
# Å over which pairs are switched off before the cutoff. Without it, the energy jumps as pairs
# cross the cutoff, by some 0.1 µeV each, and its differences are not the forces and stress.
SMOOTHING = 5.0 * units.Bohr
# What the libraries provide beside the energy; energies and stresses of single atoms are not.
PROPERTIES = ("energy", "free_energy", "forces", "stress")
# How levels of theory say that they contain dispersion.
_CONTAINS = r"-D\d?\b|\bD[234]\b|-D[234]|\bTS\b|MBD|vdW|VV10|-V\b|-rV\b|XDM|dispersion"


@dataclass(frozen=True)
class Method:
    """A dispersion correction of a library.

    Attributes
    ----------
    library : str
        Name of the package.
    damping : str
        Class of its damping functions.
    """

    library: str
    damping: str


METHODS = {
    "d3bj": Method("dftd3", "RationalDampingParam"),
    "d3bjm": Method("dftd3", "ModifiedRationalDampingParam"),
    "d3zero": Method("dftd3", "ZeroDampingParam"),
    "d3zerom": Method("dftd3", "ModifiedZeroDampingParam"),
    "d4": Method("dftd4", "DampingParam"),
}


class DispersionCorrection:
    """A dispersion correction with the parameters of a density functional.

    D3: Grimme, Antony, Ehrlich, Krieg, J. Chem. Phys. 132, 154104 (2010), damped as in Grimme,
    Ehrlich, Goerigk, J. Comput. Chem. 32, 1456 (2011), without three-body terms. D4: Caldeweyher
    et al., J. Chem. Phys. 150, 154122 (2019), with them, and with the total charge of the
    structure. They are computed on the CPU by the libraries ``dftd3`` and ``dftd4``.

    Parameters
    ----------
    name : str
        ``METHOD:FUNCTIONAL``, such as ``d3bj:pbe``; the methods are the keys of :data:`METHODS`.

    Attributes
    ----------
    name : str
    functional : str
    reach : float
        Å, the distance beyond which atoms change neither each other's energy nor their share in
        pairs with others.

    Raises
    ------
    ValueError
        If method or functional is unknown.
    ImportError
        If the library is not installed.
    """

    def __init__(self, name: str) -> None:
        kind, _, functional = name.lower().partition(":")
        if kind not in METHODS or not functional:
            raise ValueError(
                f"dispersion = {name!r} must be METHOD:FUNCTIONAL, such as d3bj:pbe, with one of "
                f"the methods {', '.join(METHODS)}"
            )
        self.name, self.functional = f"{kind}:{functional}", functional
        self._library = METHODS[kind].library
        try:
            self._interface: Any = import_module(f"{self._library}.interface")
        except ImportError as error:
            raise ImportError(
                f"dispersion = {name!r} needs the package {self._library}: "
                "pip install 'ase-geomformer[dispersion]'"
            ) from error
        try:
            self._damping = getattr(self._interface, METHODS[kind].damping)(method=functional)
        except RuntimeError as error:
            raise ValueError(
                f"{kind} has no parameters for the functional {functional!r}: {error}"
            ) from error
        self.reach = PAIR_CUTOFF + COORDINATION_CUTOFF[self._library]

    def add_to(self, results: dict[str, Any], atoms: Atoms) -> None:
        """Add the correction of a structure to results by ASE's names, in place."""
        gradient = bool({"forces", "stress"} & results.keys())
        model = self._model(atoms)
        found = model.get_dispersion(param=self._damping, grad=gradient)
        energy = float(found["energy"]) * units.Hartree
        for name in {"energy", "free_energy"} & results.keys():
            results[name] += energy
        if "forces" in results:
            results["forces"] -= found["gradient"] * (units.Hartree / units.Bohr)
        if "stress" in results:
            virial = found["virial"] * (units.Hartree / atoms.get_volume())
            results["stress"] += virial.flat[[0, 4, 8, 5, 2, 1]]

    def hessian(self, atoms: Atoms) -> NDArray[np.float64]:
        """Second derivatives of the correction, shape (3 N, 3 N), eV/Å^2.

        Raises
        ------
        ValueError
            If the library has none, which is so for D4.
        """
        model = self._model(atoms)
        if not hasattr(model, "get_hessian"):
            raise ValueError(
                f"{self._library} has no second derivatives of {self.name}; use those by finite "
                "differences"
            )
        found = model.get_hessian(param=self._damping)["hessian"]
        second: NDArray[np.float64] = found * (units.Hartree / units.Bohr**2)
        return second

    def _model(self, atoms: Atoms) -> Any:
        """The library's model of a structure, which has no memory of others."""
        given = {} if self._library == "dftd3" else {"charge": electrons(atoms)["charge"]}
        model = self._interface.DispersionModel(
            numbers=atoms.numbers,
            positions=atoms.positions / units.Bohr,
            lattice=_lattice(atoms),
            **given,
        )
        model.set_realspace_cutoff(
            disp2=PAIR_CUTOFF / units.Bohr,
            disp3=TRIPLE_CUTOFF / units.Bohr,
            cn=COORDINATION_CUTOFF[self._library] / units.Bohr,
            width2=SMOOTHING / units.Bohr,
            width3=SMOOTHING / units.Bohr,
        )
        return model

    def __getstate__(self) -> str:
        # The library's objects are handles of C.
        return self.name

    def __setstate__(self, name: str) -> None:
        self.__init__(name)  # type: ignore[misc]


def _lattice(atoms: Atoms) -> NDArray[np.float64] | None:
    """Cell in bohr, with vacuum beyond every cutoff along open axes; None without periodicity.

    The libraries' own sums over the images of slabs and wires depend on the length of the open
    axes, which must not matter.
    """
    if not atoms.pbc.any():
        return None
    cell = complete_cells(atoms.cell.array[None], atoms.pbc[None])[0]
    for axis in np.flatnonzero(~atoms.pbc):
        cell[axis] *= np.ptp(atoms.positions @ cell[axis]) + PAIR_CUTOFF + 1.0
    return np.asarray(cell / units.Bohr)


def correction_for(potential: Potential, name: str | None) -> DispersionCorrection | None:
    """The correction of this name, refused where the potential has dispersion already.

    Warns where the labels are of another functional than the correction.

    Raises
    ------
    ValueError
        If the potential has a dispersion term, or its card says that the labels contain dispersion.
    """
    if name is None:
        return None
    correction = DispersionCorrection(name)
    card = potential.card
    level = card.level_of_theory if card else ""
    if "dispersion" in potential.terms_settings:
        raise ValueError(f"dispersion = {name!r}: the potential has a term of dispersion already")
    if re.search(_CONTAINS, level):
        raise ValueError(
            f"dispersion = {name!r}: the potential was trained on labels of {level}, which contain "
            "dispersion already"
        )
    if level and _letters(correction.functional) not in _letters(level):
        warnings.warn(
            f"dispersion = {name!r} is for another functional than that of the training data, "
            f"{level}",
            stacklevel=4,
        )
    return correction


def _letters(text: str) -> str:
    """A functional's name without its many spellings."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
