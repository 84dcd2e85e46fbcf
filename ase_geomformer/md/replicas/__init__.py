"""Molecular dynamics of several replicas, with optional exchange of temperatures."""

from __future__ import annotations

from ase_geomformer.md.replicas.driver import run_replicas
from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.md.replicas.settings import ReplicaSettings

__all__ = ["ReplicaSettings", "ReplicasResult", "run_replicas"]
