"""The verbs of the command line, one module or one row of a table each.

A verb's module defines ``USAGE`` and ``DESCRIPTION`` for its help, ``add_arguments(parser)``, and
``run(options) -> int``, whose result is the exit code. It is imported only when the verb is used,
so that the others cost nothing. Verbs that run a recipe are rows of
:data:`~ase_geomformer.commands.recipes.RECIPES`, those that ask a teacher of
:data:`~ase_geomformer.commands.teacher.TEACHER_VERBS`, which have the same.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from ase_geomformer.commands.recipes import RECIPES
from ase_geomformer.commands.teacher import TEACHER_VERBS

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


class Verb(Protocol):
    """What a verb is made of."""

    @property
    def USAGE(self) -> str: ...
    @property
    def DESCRIPTION(self) -> str: ...
    def add_arguments(self, parser: ArgumentParser) -> None: ...
    def run(self, options: Namespace) -> int: ...


# What each verb does, in one line, in the order in which the help lists them.
VERBS = {
    "models": "list, show, verify and download potentials",
    "singlepoint": "energy, forces and stress of the structures in a file",
    "md": "molecular dynamics",
    "lammps": "molecular dynamics by LAMMPS, on many processes",
    "ipi": "path-integral molecular dynamics by i-PI: quantum nuclei",
    "analyze": "structure, diffusion, vibrations and transport from a trajectory",
    "replicas": "molecular dynamics of several replicas at once, with replica exchange",
    "relax": "relaxation of a structure and its cell",
    "geomopt": "the same as relax",
    "relax-many": "relaxation of many structures at once",
    "eos": "equation of state of a crystal",
    "elastic": "elastic constants of a crystal",
    "surface": "surface energies of a crystal, all terminations",
    "vacancy": "formation energies of vacancies in a crystal",
    "cohesive": "cohesive energies of crystals and molecules",
    "adsorption": "adsorption of a molecule on all sites of a slab",
    "neb": "reaction path and barrier between two minima",
    "saddle": "transition state near one structure",
    "irc": "reaction coordinate from a saddle point down to both minima",
    "vibrations": "vibrations of a molecule, and thermochemistry",
    "selftest": "test a potential on your own structure",
    "phonons": "phonons of a crystal: bands, densities of states, thermodynamics",
    "qha": "thermal expansion and Grüneisen parameters, from phonons at several volumes",
    "conductivity": "lattice thermal conductivity, from third-order force constants",
    "evaluate": "errors of a potential on labelled structures",
    "descriptors": "invariant features of atoms and structures, and a map of them",
    "learn": "train a potential of one system from any ASE calculator",
    "sample": "structures around one, to be labelled",
    "select": "choose the structures that are worth a label",
    "label": "label structures with any ASE calculator, for training",
    "data": "list and fetch public data sets of labelled structures",
    "train": "train a potential on labelled structures",
    "finetune": "fine-tune a potential on other structures",
    "report": "a page of a run, or of several side by side, for a browser",
    "cache": "list and clear compiled code and tables of potentials",
    "convert": "convert a published checkpoint to a potential",
    "completion": "completion of verbs, options and potentials for your shell",
}


def load(verb: str) -> Verb:
    """The row or module of a verb."""
    row = RECIPES.get(verb) or TEACHER_VERBS.get(verb)
    return row or importlib.import_module(f"{__name__}.{verb}")
