"""The elements of the mlearn data in docs/accuracy.md: errors beside published ones, crystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from elements import element_of

from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.markdown import table

if TYPE_CHECKING:
    from shipped import Shipped

PUBLISHED = Path(__file__).parent / "reference/mlearn.yaml"
OTHERS = ("GAP", "MTP")

HEAD = """## Elements of the mlearn data

Mean absolute errors on the test frames of Zuo et al., J. Phys. Chem. A 124, 731 (2020), energies in
meV/atom and forces in meV/Å, one potential for each element. GAP and MTP are those of the paper as
[`benchmarks/reference/mlearn.yaml`](../benchmarks/reference/mlearn.yaml) quotes them, forces
rounded to 10 meV/Å; the paper's potentials learned from all training frames, ours from 93 % of
them, and choose by the rest."""

CRYSTALS = """Crystals by the same potentials, ours / reference. Lattice constant: that of the
relaxed crystal / that at which the stress of the PBE labels would vanish. Elastic constants (GPa):
fitted to the strained frames of the data, to our stresses and to the labels alike, atoms clamped;
the cell that the frames strain may be under stress (Ge 0.95, Cu 2.2, Ni 2.4 GPa, of the last two
after the offset of their labels), so that the constants of the relaxed crystal, in each potential's
README, are others. Linear thermal expansion at 300 K beside experiment. There is no reference for
the energy of a vacancy: the data have none that is relaxed."""

CONSTANTS = {
    "a (Å)": ("lattice_constant_A", ".4f"),
    "C11": ("C11_of_frames_GPa", ".1f"),
    "C12": ("C12_of_frames_GPa", ".1f"),
    "C44": ("C44_of_frames_GPa", ".1f"),
}


def section(potentials: Sequence[Shipped]) -> str:
    """Both tables with what they are; empty without potentials of the data."""
    published = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    ours = sorted(
        ((symbol, it) for it in potentials if (symbol := element_of(it.card.name))),
        key=lambda pair: (pair[0], pair[1].card.name),
    )
    if not ours:
        return ""
    errors = table(
        ["element", "potential", "ours: energy, forces", *OTHERS],
        [_errors(symbol, it, published) for symbol, it in ours],
    )
    crystals = table(
        ["element", "potential", *CONSTANTS, "vacancy (eV)", "expansion (1e-6/K)"],
        [_crystal(symbol, it) for symbol, it in ours],
    )
    return "\n\n".join([HEAD, errors, CRYSTALS, crystals])


def _errors(
    symbol: str, it: Shipped, published: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> tuple[str, ...]:
    energies = published["energy_meV_per_atom"][symbol]
    forces = published["forces_meV_per_A"][symbol]
    own = f"{it.errors['energy_mae_meV_per_atom']:.2f}, {it.errors['forces_mae_meV_per_A']:.3g}"
    others = (f"{energies[name]:.2f}, {forces[name]:g}" for name in OTHERS)
    return (symbol, _link(it), own, *others)


def _crystal(symbol: str, it: Shipped) -> tuple[str, ...]:
    elasticity, checks = it.checks.get("elasticity"), it.checks
    constants = [_beside(elasticity, name, form) for name, form in CONSTANTS.values()]
    return (
        symbol,
        _link(it),
        *constants,
        _beside(checks.get("vacancy"), "formation_energy_eV", ".2f"),
        _beside(checks.get("expansion"), "linear_expansion_per_K", ".1f", 1e6),
    )


def _beside(check: CardCheck | None, name: str, form: str, unit: float = 1.0) -> str:
    """A value and its reference, where they are known."""
    if check is None:
        return ""
    found = (check.values.get(name), check.references.get(name))
    return " / ".join(f"{value * unit:{form}}" for value in found if value is not None)


def _link(it: Shipped) -> str:
    return f"[{it.card.name}](../potentials/{it.card.name})"
