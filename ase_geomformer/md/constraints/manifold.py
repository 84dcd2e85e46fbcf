"""Motion in the surface that constraints leave: projections and steps along it.

Momenta are projected in the metric of the masses, which leaves the canonical distribution of the
constrained system canonical. A step along the surface is that of RATTLE (Andersen, J. Comput.
Phys. 52, 24 (1983)): the positions move freely, impulses along the old gradients bring them back,
and the momenta that result are projected at the new positions. Between the forces and the noise of
BAOAB it makes the geodesic integrator g-BAOAB (Leimkuhler and Matthews, Proc. R. Soc. A 472,
20160138 (2016)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from ase import Atoms

from ase_geomformer.md.constraints.blocks import REDUNDANT, Block, blocks
from ase_geomformer.md.constraints.equations import Equations, Frozen, Held

# Largest error of a constraint after a step, Å or radians; some hundred times the rounding.
_TOLERANCE = 1e-12
_ITERATIONS = 500
# Errors beyond this grow with every correction, or are not finite.
_LOST = 100.0
# Below this the constraints are so nearly dependent that a small displacement decides, Å.
_SINGULAR, _DISPLACEMENT = 1e-4, 0.1


class NotHeld(Exception):
    """The constraints cannot be satisfied; the message says why."""


# What it looks like, to NumPy and ASE, too, when a bond has no length or an angle no sides.
DEGENERATE = (NotHeld, ZeroDivisionError, np.linalg.LinAlgError)


class Manifold:
    """The positions and momenta that constraints allow.

    Parameters
    ----------
    atoms : ase.Atoms
        Masses, and positions to begin with.
    held : sequence of Held or Frozen
        What the constraints hold.
    """

    def __init__(self, atoms: Atoms, held: Sequence[Held | Frozen]) -> None:
        self.free = np.ones((len(atoms), 3))
        for entry in held:
            if isinstance(entry, Frozen):
                self.free[entry.mask] = 0.0
        # Displacement for a momentum; frozen coordinates have none, as if infinitely heavy.
        self.mobility = self.free / atoms.get_masses()[:, None]
        equations = [entry for entry in held if isinstance(entry, Held)]
        self.equations: list[Equations] = [entry.equations for entry in equations]
        self.targets = [entry.targets for entry in equations]
        self._blocks = blocks(self.equations, self.free)
        self._curved = [block for block in self._blocks if not block.is_linear]
        self._at = atoms.get_positions()
        self._update(self._blocks)

    @cached_property
    def removed(self) -> int:
        """Number of degrees of freedom that the constraints remove, repetitions not counted."""
        ranks = (np.sum(block.eigenvalues > REDUNDANT) for block in self._blocks)
        return int(np.sum(self.free == 0.0) + sum(ranks))

    @property
    def lets_rotate(self) -> bool:
        """Whether all atoms may rotate together, in every orientation."""
        return bool(self.free.all()) and all(e.is_internal or e.is_centre for e in self.equations)

    def translations(self) -> np.ndarray:
        """Directions (k, 3) along which the constraints let all atoms move together."""
        rows = [np.diag(1.0 - row) for row in np.unique(self.free, axis=0)]
        for entry in self.equations:
            rows.append(entry.gradients(self._at).sum(axis=1))
        _, sizes, directions = np.linalg.svd(np.concatenate(rows))
        return np.asarray(directions[sizes <= REDUNDANT])

    def project(self, positions: np.ndarray, momenta: np.ndarray) -> np.ndarray:
        """Momenta (N, 3) without the part that would break the constraints.

        That part is removed in the metric of the masses. Forces are projected likewise.
        """
        self._turn(positions)
        projected = momenta * self.free
        for block in self._blocks:
            rates = block.rates(projected * self.mobility)
            projected[block.atoms] -= block.momenta(rates) * self.free[block.atoms]
        return projected

    def move(
        self, positions: np.ndarray, momenta: np.ndarray, time: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions and momenta (N, 3) after free motion along the surface.

        Raises
        ------
        NotHeld
            If nothing brings the positions back to the surface.
        """
        self._turn(positions)
        moved = positions + time * momenta * self.mobility
        momenta = momenta.copy()
        tolerance = _tolerance(moved)
        for _ in range(_ITERATIONS):
            residual = self._residual(moved)
            largest = max((np.abs(residual[b.rows]).max() for b in self._curved), default=0.0)
            if largest <= tolerance:
                return moved, self.project(moved, momenta)
            if not largest < _LOST:
                break
            change = self._change(self._curved, residual)
            moved += change * self.mobility
            momenta += change / time
        raise NotHeld(
            "the constraints cannot be held: one step takes the atoms too far from them; the time "
            "step is too long, or the structure breaks"
        )

    def settle(self, positions: np.ndarray) -> np.ndarray:
        """The positions (N, 3) nearby that satisfy the constraints; NotHeld if none do."""
        for _ in range(_ITERATIONS):
            residual = self._residual(positions)
            largest = np.abs(residual).max(initial=0.0)
            if largest <= _tolerance(positions):
                return positions
            self._turn(positions)
            positions = positions + self._change(self._blocks, residual) * self.mobility
        raise NotHeld(
            f"the constraints contradict each other or the structure: {largest:.3g} Å or radians "
            "remain after the atoms were moved to satisfy them"
        )

    def is_singular(self, positions: np.ndarray) -> bool:
        """Whether a small displacement changes how many motions the constraints remove.

        So it is for three distances in a line, or six in a plane: they hinder the motion out of
        the line or plane, which their gradients do not show.
        """
        rng = np.random.default_rng(0)
        shaken = positions + _DISPLACEMENT * rng.standard_normal(positions.shape)
        counts = []
        for place in (shaken, positions):
            self._turn(place)
            counts.append([np.sum(b.eigenvalues > _SINGULAR, axis=1) for b in self._curved])
        return any(bool(np.any(a > b)) for a, b in zip(*counts, strict=True))

    def state(self) -> dict[str, np.ndarray]:
        """What cannot be found again, to the last bit, from later positions."""
        found = {}
        for index, (entry, targets) in enumerate(zip(self.equations, self.targets, strict=True)):
            found[f"{index}/targets"] = targets
            for name, values in vars(entry).items():
                if isinstance(values, np.ndarray) and values.dtype.kind == "f":
                    found[f"{index}/{name}"] = values
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Hold what :meth:`state` gave; ValueError if that is of other constraints."""
        for index, (entry, targets) in enumerate(zip(self.equations, self.targets, strict=True)):
            prefix = f"{index}/"
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            for name, values in own.items():
                present = targets if name == "targets" else vars(entry)[name]
                if np.shape(values) != np.shape(present):
                    raise ValueError(f"{name} of constraint {index} are of other constraints")
            self.targets[index] = own.pop("targets", targets)
            self.equations[index] = replace(entry, **own)  # type: ignore[type-var]
        self._update(self._blocks)

    def _turn(self, positions: np.ndarray) -> None:
        """Take the gradients at these positions."""
        if self._curved and not np.array_equal(positions, self._at):
            self._at = positions.copy()
            self._update(self._curved)

    def _update(self, which: Sequence[Block]) -> None:
        if which:
            found = [entry.gradients(self._at).reshape(-1, 3) for entry in self.equations]
            gradients = np.concatenate(found)
            if not np.isfinite(gradients).all():
                raise NotHeld("a constraint has no direction, because its atoms are in one place")
            for block in which:
                block.update(gradients, self.mobility)

    def _residual(self, positions: np.ndarray) -> np.ndarray:
        """By how much each equation (R,) is off its target."""
        found = [np.zeros(0)]
        for entry, targets in zip(self.equations, self.targets, strict=True):
            residual = entry.values(positions) - targets
            if entry.period is not None:
                residual -= entry.period * np.round(residual / entry.period)
            found.append(residual)
        return np.concatenate(found)

    def _change(self, which: Sequence[Block], residual: np.ndarray) -> np.ndarray:
        """Momenta (N, 3) that in unit time take equations to their targets, to first order."""
        change = np.zeros_like(self.free)
        for block in which:
            change[block.atoms] -= block.momenta(residual[block.rows]) * self.free[block.atoms]
        return change


def _tolerance(positions: np.ndarray) -> float:
    """Largest error accepted, which is not below the rounding of positions far from the origin."""
    return max(_TOLERANCE, 10.0 * float(np.finfo(float).eps * np.abs(positions).max(initial=0.0)))
