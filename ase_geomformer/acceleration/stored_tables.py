"""Radial tables that are made once for a potential and machine, and read ever after."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ase_geomformer.acceleration import identity
from ase_geomformer.acceleration.tables import TableErrors, fitted, install, tabulate
from ase_geomformer.machine.cache import Cache
from ase_geomformer.potential import Potential

logger = logging.getLogger(__name__)

FILE = "tables.safetensors"


def tabulate_once(potential: Potential) -> TableErrors:
    """As :func:`~ase_geomformer.acceleration.tabulate`, from the cache where it has the tables.

    Making and measuring them takes one to three seconds, reading them a few milliseconds. A
    potential without a card, which no file holds, is tabulated anew: only potentials that are
    loaded again and again are worth room in the cache.
    """
    if potential.card is None:
        return tabulate(potential)
    cache = Cache()
    key = identity.fingerprint("tables", identity.of_potential(potential), identity.of_sources())
    try:
        entry = cache.find(key)
        if entry is not None:
            errors = TableErrors(**entry.about["errors"])
            stored = load_file(entry.folder / FILE)
            install(potential, [stored[str(index)] for index in range(len(stored))])
            return errors
    except (OSError, SafetensorError) as error:
        logger.info("radial tables are made anew: %s", error)
    errors, coefficients = fitted(potential)
    install(potential, coefficients)
    about = {"kind": "tables", "potential": potential.card.name, "errors": asdict(errors)}

    def write(folder: Path) -> None:
        tensors = {str(index): own.cpu() for index, own in enumerate(coefficients)}
        save_file(tensors, folder / FILE)

    try:
        cache.store(key, about, write)
    except OSError as error:
        logger.info("radial tables are not kept: %s", error)
    return errors
