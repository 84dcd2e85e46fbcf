"""Running replicas: N ordinary trajectories from one batched evaluation per step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ase import Atoms

from ase_geomformer.committee import SPREADS
from ase_geomformer.evaluate import Evaluator, as_evaluator
from ase_geomformer.md.ensembles import ENSEMBLES
from ase_geomformer.md.output import RESTART_FILE
from ase_geomformer.md.replicas import files, report
from ase_geomformer.md.replicas.exchange import Exchange
from ase_geomformer.md.replicas.lockstep import ReplicaCalculator, advance
from ase_geomformer.md.replicas.replica import Replica, prepare
from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.md.replicas.settings import ReplicaSettings
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.report import show
from ase_geomformer.runtime.evaluation import as_before


@takes_pymatgen()
def run_replicas(
    atoms: Atoms | list[Atoms],
    calculator: Any,
    settings: MDSettings,
    replicas: ReplicaSettings,
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    overwrite: bool = False,
    inputs: Mapping[str, Any] | None = None,
) -> ReplicasResult:
    """Run molecular dynamics of several replicas.

    Every replica is an ordinary run with a folder, log, trajectory, guards and restart file of
    its own, and agrees with that run made alone within rounding; only the evaluations are
    done together. A replica that a guard stops ends, and the others continue; where temperatures
    are exchanged, all end, because one would be missing from the ladder.

    The set resumes from its own restart file, which holds all replicas at one step: all
    positions, logs and exchanges are then, to the last bit, those of a set that was never
    interrupted, with the exceptions that :func:`~ase_geomformer.md.run_md` names.

    Parameters
    ----------
    atoms : ase.Atoms or list of ase.Atoms
        Starting structure of all, or one for each.
    calculator : str, path, Potential, ASE calculator or Evaluator
        A potential evaluates in batches, any other calculator one after the other.
    settings : MDSettings
        In common; each replica has its own temperature or seed.
    replicas : ReplicaSettings
        How many there are, and in what they differ.
    output : path, optional
        Folder for ``replica_0``, ``replica_1`` ..., each with the files of an ordinary run, and
        for ``restart.npz``, ``replicas.png``, ``settings.yaml`` and ``result.json`` of the set.
    resume, progress, overwrite, inputs
        As in :func:`~ase_geomformer.md.run_md`.

    Returns
    -------
    ReplicasResult

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        As :func:`~ase_geomformer.md.run_md` does.
    """
    each = replicas.each(settings)
    structures = atoms if isinstance(atoms, list) else [atoms] * len(each)
    if len(structures) != len(each):
        raise ValueError(
            f"there are {len(each)} replicas and {len(structures)} structures; give one structure "
            "for all, or one for each"
        )
    folder = files.set_folder(output, resume=resume, overwrite=overwrite)
    saved = files.find(folder)
    if saved is not None:
        saved.check(settings, replicas, structures)
    evaluate = as_evaluator(calculator)
    if saved is not None:
        for checkpoint in list(saved.checkpoints.values())[:1]:  # all are evaluated alike
            evaluate = as_before(evaluate, checkpoint.atoms(), checkpoint.facts.get("evaluation"))
    calculators = [_calculator(evaluate, settings) for _ in each]
    try:
        replica_set = ReplicaSet(
            settings, replicas, structures, calculators, folder, saved, dict(inputs or {})
        )
        with report.progress_bar(settings, len(each), replica_set.step, progress) as advance:
            reason = replica_set.run(advance)
    finally:
        for made in calculators:
            made.companion.close()
    result = replica_set.result(reason)
    files.finish(folder, result, settings, evaluate.calculator)
    if progress:
        show(result, table=report.summary_table(result, settings))
    return result


class ReplicaSet:
    """Replicas that make their steps together.

    Parameters
    ----------
    settings, replicas
        As in :func:`run_replicas`.
    structures : list of ase.Atoms
    calculators : list of ReplicaCalculator
    folder : RunFolder
    saved : SavedSet or None
        Checkpoint to resume from.
    inputs : dict
    """

    def __init__(
        self,
        settings: MDSettings,
        replicas: ReplicaSettings,
        structures: list[Atoms],
        calculators: list[ReplicaCalculator],
        folder: RunFolder,
        saved: files.SavedSet | None,
        inputs: dict[str, Any],
    ) -> None:
        self.settings, self.replicas, self.folder = settings, replicas, folder.path
        self.calculators, self.each = calculators, replicas.each(settings)
        self.step = saved.facts["step"] if saved else 0
        self._start = time.perf_counter() - (saved.facts["wall_time_s"] if saved else 0.0)
        self.exchange = _exchange(settings, replicas, saved)
        checkpoints = saved.checkpoints if saved else dict.fromkeys(range(len(self.each)))
        # All are evaluated before the first file is made.
        simulations = {
            index: prepare(
                structures[index],
                calculators[index],
                self.each[index],
                checkpoint,
                exchanges=self.exchange is not None,
            )
            for index, checkpoint in checkpoints.items()
        }
        files.start(folder, settings, replicas, inputs)
        self.live = {
            index: Replica(
                simulation, checkpoints[index], files.replica_folder(self.folder, index), inputs
            )
            for index, simulation in simulations.items()
        }
        self.results = files.ended(self.folder, self.each, saved)

    def run(self, show_step: Callable[[int], None]) -> str:
        """Make the steps; why the set ended."""
        first = self.step
        try:
            self._advance()
            if self.step == 0:
                self._checkpoint()
            while self.live and self.step < self.settings.steps:
                self.step += 1
                self._advance()
                if self.exchange is not None:
                    if self.results:
                        return self._end(f"replica {min(self.results)} stopped, and so all have")
                    if self.exchange.is_due(self.step):
                        simulations = [self.live[i].simulation for i in sorted(self.live)]
                        self.exchange(simulations, self.step)
                if self.step % self.settings.checkpoint_interval == 0:
                    self._forget()
                    self._checkpoint()
                show_step(self.step)
        except KeyboardInterrupt:
            for made in self.calculators:
                made.companion.close()
            return self._end(f"interrupted at step {self.step}")
        if self.live and self.step > first:
            self._checkpoint()
        return self._end(f"all {self.settings.steps} steps made")

    def result(self, reason: str) -> ReplicasResult:
        """Result of the set."""
        stopped = [index for index, result in self.results.items() if not result.completed]
        if stopped and reason.startswith("all"):
            numbers = ", ".join(map(str, sorted(stopped)))
            reason = f"replica {numbers} stopped early: {self.results[min(stopped)].reason}"
        return ReplicasResult(
            completed=not stopped,
            reason=reason,
            replicas=[self.results[index] for index in range(len(self.each))],
            temperatures_K=[own.temperature_K for own in self.each],
            acceptance=self.exchange.acceptance if self.exchange else [],
            wall_time=self._wall_time(),
            output=self.folder,
        )

    def _advance(self) -> None:
        """One step of every replica; those that a guard stops end."""
        calculators = dict(enumerate(self.calculators))
        tasks = {index: replica.advance for index, replica in self.live.items()}
        for index, error in advance(calculators, tasks).items():
            self.results[index] = self.live.pop(index).end(error)

    def _forget(self) -> None:
        """As a single run does where it can be resumed."""
        for index, replica in self.live.items():
            self.calculators[index].evaluate.calculator.reset()
            replica.simulation.forget()

    def _checkpoint(self) -> None:
        if self.folder is None:
            return
        facts = {
            "step": self.step,
            "settings": asdict(self.settings),
            "replicas": asdict(self.replicas),
            "exchange": self.exchange.state() if self.exchange else None,
            "wall_time_s": self._wall_time(),
            "ended": files.remember(self.results),
        }
        live = {index: replica.snapshot() for index, replica in self.live.items()}
        files.save(self.folder / RESTART_FILE, facts, live)

    def _end(self, reason: str) -> str:
        for index, replica in self.live.items():
            self.results[index] = replica.end(None, reason)
        self.live = {}
        return reason

    def _wall_time(self) -> float:
        return float(time.perf_counter() - self._start)


def _exchange(
    settings: MDSettings, replicas: ReplicaSettings, saved: files.SavedSet | None
) -> Exchange | None:
    if replicas.exchange_interval is None or replicas.temperatures_K is None:
        return None
    exchange = Exchange(replicas.temperatures_K, replicas.exchange_interval, settings.seed)
    if saved is not None:
        exchange.restore(saved.facts["exchange"])
    return exchange


def _calculator(evaluate: Evaluator, settings: MDSettings) -> ReplicaCalculator:
    known = evaluate.calculator.implemented_properties
    wanted = ["energy", "forces", *({"free_energy", *SPREADS} & set(known))]
    needed = ENSEMBLES[settings.ensemble].has_barostat or settings.log_stress
    if needed and "stress" in known:
        wanted.append("stress")
    return ReplicaCalculator(evaluate, wanted)
