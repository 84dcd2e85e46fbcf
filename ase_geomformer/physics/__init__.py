"""Energy terms of known form that a potential adds to its architecture's energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase_geomformer.physics.base import EnergyTerm
from ase_geomformer.physics.dispersion import Dispersion, DispersionSettings
from ase_geomformer.physics.electrostatics import Electrostatics, ElectrostaticsSettings
from ase_geomformer.physics.ewald import Ewald, EwaldSettings, with_ewald_sum
from ase_geomformer.physics.far import LongRangeCutoff, with_long_range_cutoff
from ase_geomformer.physics.long_range import (
    LONG_RANGE_TERMS,
    Boundaries,
    LongRange,
    boundaries_of,
    neutralised,
)
from ase_geomformer.physics.zbl import ZBL, ZBLSettings
from ase_geomformer.settings.plain import settings_from

__all__ = [
    "LONG_RANGE_TERMS",
    "TERMS",
    "ZBL",
    "Boundaries",
    "Dispersion",
    "DispersionSettings",
    "Electrostatics",
    "ElectrostaticsSettings",
    "EnergyTerm",
    "Ewald",
    "EwaldSettings",
    "LongRange",
    "LongRangeCutoff",
    "ZBLSettings",
    "boundaries_of",
    "build_terms",
    "neutralised",
    "with_ewald_sum",
    "with_long_range_cutoff",
]

TERMS: dict[str, type[EnergyTerm]] = {
    "zbl": ZBL,
    "electrostatics": Electrostatics,
    "dispersion": Dispersion,
    "ewald": Ewald,
}


def build_terms(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, EnergyTerm]:
    """Freshly initialised terms in float64.

    Parameters
    ----------
    settings : mapping
        Settings of each term by its registered name, such as ``{"zbl": {}}``.

    Raises
    ------
    ValueError
        If a name or a settings field is unknown, or a value is out of range.
    """
    strange = sorted(set(settings) - set(TERMS))
    if strange:
        raise ValueError(f"unknown energy term {strange[0]!r}; this version knows {sorted(TERMS)}")
    return {
        name: TERMS[name](settings_from(name, TERMS[name].settings_class, given)).double()
        for name, given in settings.items()
    }
