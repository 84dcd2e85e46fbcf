"""Band structure along the path that seekpath finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True, eq=False)
class Bands:
    """Frequencies along a path through the Brillouin zone, segment after segment.

    Attributes
    ----------
    labels : list of tuple of str
        Names of the two ends of each segment.
    q_points : list of array (points, 3)
        In units of the primitive cell's reciprocal vectors.
    distances : list of array (points,)
        Length of the path so far, in 1/Å without 2 pi.
    frequencies_THz : list of array (points, branches)
        Imaginary frequencies are negative.
    group_velocities_THz_A : list of array (points, branches, 3)
        Slope of the frequency with respect to q, in THz Å (100 m/s).
    """

    labels: list[tuple[str, str]]
    q_points: list[np.ndarray]
    distances: list[np.ndarray]
    frequencies_THz: list[np.ndarray]
    group_velocities_THz_A: list[np.ndarray]

    def at(self, label: str) -> np.ndarray:
        """Frequencies (branches,) in THz at a point of the path.

        Where the path meets the point more than once, those of the first time; at Γ with a
        non-analytical term they depend on the direction.

        Raises
        ------
        ValueError
            If the path does not go through this point.
        """
        for ends, frequencies in zip(self.labels, self.frequencies_THz, strict=True):
            for end, row in zip(ends, (0, -1), strict=True):
                if end == label:
                    return np.asarray(frequencies[row])
        known = sorted({end for ends in self.labels for end in ends})
        raise ValueError(f"the path has no point {label!r}; it has {', '.join(known)}")

    def special_points(self) -> dict[str, list[float]]:
        """Frequencies in THz at each named point of the path."""
        names = dict.fromkeys(end for ends in self.labels for end in ends)
        return {name: self.at(name).tolist() for name in names}


def band_structure(phonon: Phonopy, points: int) -> Bands:
    """Bands along the path recommended for the crystal's symmetry.

    The path and its names are those of Hinuma et al., Comput. Mater. Sci. 128, 140 (2017). The
    result also stays in ``phonon``, whose writers and figures know it.

    Parameters
    ----------
    phonon : Phonopy
        With force constants.
    points : int
        q points on the longest segment; the others have as many for their length.
    """
    from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath

    paths, names, connections = get_band_qpoints_by_seekpath(
        phonon.primitive, points, is_const_interval=True
    )
    found = phonon.run_band_structure(
        paths, with_group_velocities=True, path_connections=connections, labels=names
    )
    return Bands(
        _ends(names, connections),
        [np.array(path) for path in found.qpoints],
        [np.array(path) for path in found.distances],
        [np.array(path) for path in found.frequencies],
        [np.array(path) for path in found.group_velocities or []],
    )


def _ends(names: list[str], connections: list[bool]) -> list[tuple[str, str]]:
    """Names of both ends of each segment; a connected segment begins where the last ended."""
    plain = [_plain(name) for name in names]
    ends = []
    place = 0
    for connected in connections:
        ends.append((plain[place], plain[place + 1]))
        place += 1 if connected else 2
    return ends


def _plain(name: str) -> str:
    r"""A label without LaTeX: Γ for ``$\Gamma$``, H_2 for ``$\mathrm{H_{2}}$``."""
    for mark in ("$", r"\mathrm", "{", "}"):
        name = name.replace(mark, "")
    return name.replace(r"\Gamma", "Γ").replace("GAMMA", "Γ").replace(r"\Sigma", "Σ")
