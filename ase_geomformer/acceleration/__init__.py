"""Faster evaluation of potentials, with the results of the plain one."""

from ase_geomformer.acceleration.artifact import FEATURES, Artifact
from ase_geomformer.acceleration.compiled import CompiledPotential
from ase_geomformer.acceleration.compiler import compiler_available
from ase_geomformer.acceleration.stored_artifacts import (
    CompiledAhead,
    artifact_key,
    can_compile_ahead,
    find_artifact,
    worth_compiling,
)
from ase_geomformer.acceleration.stored_tables import tabulate_once
from ase_geomformer.acceleration.tables import (
    TableErrors,
    can_tabulate,
    tabulate,
    worth_tabulating,
)
from ase_geomformer.acceleration.threads import threads_worth

__all__ = [
    "FEATURES",
    "Artifact",
    "CompiledAhead",
    "CompiledPotential",
    "TableErrors",
    "artifact_key",
    "can_compile_ahead",
    "can_tabulate",
    "compiler_available",
    "find_artifact",
    "tabulate",
    "tabulate_once",
    "threads_worth",
    "worth_compiling",
    "worth_tabulating",
]
