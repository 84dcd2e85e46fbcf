"""Students: potentials that learn from the same labels, side by side in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ase_geomformer.architectures.base import architecture_class, build
from ase_geomformer.data.frames import Frame, elements
from ase_geomformer.data.reference import atomic_energy, force_rms, reference_energies
from ase_geomformer.learning.side_by_side import Allowance, SideBySide
from ase_geomformer.learning.student import Student
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.machine.bounded import check_regular
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.edges import edge_table
from ase_geomformer.training.energy_shift import centre
from ase_geomformer.training.initial import further
from ase_geomformer.training.losses import LossSettings, TargetLoss
from ase_geomformer.training.settings import ModelSettings

# Final factor of the learning rate.
FLOOR = 0.01
# With it, two members that so3krates-rmd17 was fine-tuned to for ethylene glycol differed twice as
# much after 150 steps, and their errors were the same; with three times as much they were larger.
TUNING_NOISE = 0.05


def steady_rate(progress: float) -> float:
    """Factor of the learning rate in the rounds, whatever the progress: labels are still to come.

    The averaged weights are those that count. With a rate that fell in each round and rose again in
    the next one, ethylene glycol had 105 instead of 52 meV/Å after 700 steps.
    """
    return 1.0


def falling_rate(progress: float) -> float:
    """Factor of the learning rate in the last training: half a cosine, down to next to nothing."""
    return float(FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + np.cos(np.pi * min(1.0, progress))))


class Students:
    """All members.

    Parameters
    ----------
    frames : sequence of Frame
        The first labels, isolated atoms among them: they give reference energies, the scale of
        forces and the mean number of neighbours, which stay.
    settings : StudentSettings
    seed : int
    """

    def __init__(self, frames: Sequence[Frame], settings: StudentSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        bonded = [frame for frame in frames if not frame.is_isolated_atom]
        self.scale = force_rms(bonded)
        loss = loss_of(bonded, settings)
        self.members = [
            Student(potential, settings.rate, loss, self.scale)
            for potential in initial_potentials(frames, settings, self.scale, seed)
        ]

    @property
    def steps(self) -> int:
        """Optimizer steps of the first member."""
        return self.members[0].steps

    def train(
        self,
        frames: Sequence[Frame],
        allowance: Allowance,
        schedule: Callable[[float], float],
        show: Callable[[float], None] = lambda progress: None,
    ) -> int:
        """Train all members side by side; the number of steps of each.

        The optimizers start anew, so that a run that is resumed here does as one that was never
        interrupted.

        Parameters
        ----------
        frames : sequence of Frame
        allowance : Allowance
        schedule : callable
            Factor of the learning rate by the progress from 0 to 1.
        show : callable
            Told of that progress.
        """
        potential = self.members[0].potential
        data = GraphDataset(frames, potential.cutoff, far_cutoff=potential.far_cutoff)

        def stepper(index: int, student: Student) -> Callable[[float], None]:
            seed = [self.seed, index, student.steps]
            order = batches(len(data), self.settings.batch_size, seed)
            student.restart()
            return lambda progress: student.step(data.batch(next(order)), schedule(progress))

        steppers = [stepper(index, student) for index, student in enumerate(self.members)]
        return SideBySide(steppers, allowance, show).run()

    def potentials(self, frames: Sequence[Frame] = ()) -> list[Potential]:
        """The members with averaged weights, energies shifted to fit the frames on average."""
        found = [student.averaged() for student in self.members]
        for potential in found:
            if frames:
                centre(potential, frames)
        return found

    def save(self, path: Path) -> None:
        """Write weights and averages of all members, atomically."""
        tensors = {}
        for index, student in enumerate(self.members):
            for name, value in student.potential.named_parameters():
                tensors[f"{index}.present.{name}"] = value.detach().contiguous()
                tensors[f"{index}.average.{name}"] = student.average[name].detach().contiguous()
        with atomic_file(path) as temporary:
            save_file(tensors, temporary, metadata={"steps": str(self.steps)})

    def load(self, path: Path) -> None:
        """Take the weights and averages that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, or of other potentials.
        """
        try:
            check_regular(path)
            with safe_open(path, framework="pt") as stored:
                steps = int((stored.metadata() or {})["steps"])
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            self._check(steps, tensors)
        except (SafetensorError, ValueError, KeyError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path} does not hold these students: {reason}") from error
        for index, student in enumerate(self.members):
            with torch.no_grad():
                for name, value in student.potential.named_parameters():
                    value.copy_(tensors[f"{index}.present.{name}"])
                    student.average[name].copy_(tensors[f"{index}.average.{name}"])
            student.steps = steps

    def _check(self, steps: int, tensors: Mapping[str, torch.Tensor]) -> None:
        if steps < 0:
            raise ValueError(f"they made {steps} steps")
        for index, student in enumerate(self.members):
            for name, value in student.potential.named_parameters():
                for kind in ("present", "average"):
                    found = tensors[f"{index}.{kind}.{name}"]
                    if found.shape != value.shape or found.dtype != value.dtype:
                        raise ValueError(f"{name} is {found.dtype} of shape {list(found.shape)}")


def initial_potentials(
    frames: Sequence[Frame], settings: StudentSettings, scale: float, seed: int
) -> list[Potential]:
    """The members before training: new ones, or copies of a potential to fine-tune."""
    bonded = [frame for frame in frames if not frame.is_isolated_atom]
    if settings.start_from is not None:
        model = ModelSettings(start_from=settings.start_from)
        start, _ = further(settings.start_from, model, bonded)
        start.confidence = None  # it is that of other weights and data
        copies = [start.copy().requires_grad_(True) for _ in range(settings.members)]
        for index, potential in enumerate(copies):
            disturb(potential, [seed, index])
        return copies
    given, references = _with_neighbors(settings, bonded), shifted_references(frames)
    found = []
    for index in range(settings.members):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + index)
            architecture = build(settings.architecture, given)
        found.append(
            Potential(
                architecture,
                elements(frames),
                reference_energies=references,
                energy_scale=scale,
                terms=build_terms(settings.terms),
            )
        )
    return found


@torch.no_grad()
def disturb(potential: Potential, seed: Sequence[int]) -> None:
    """Add noise to the weights, so that members that are fine-tuned from one potential differ.

    The noise of each tensor of weights is ``TUNING_NOISE`` times their standard deviation; biases
    and scales that are all the same stay.
    """
    rng = np.random.default_rng(list(seed))
    for weights in potential.architecture.parameters():
        noise = torch.from_numpy(rng.standard_normal(weights.shape)).to(weights)
        weights.add_(noise, alpha=TUNING_NOISE * float(weights.std(correction=0)))


def batches(total: int, size: int, seed: Sequence[int]) -> Iterator[list[int]]:
    """Indices of batches without end, each frame once in every pass."""
    rng = np.random.default_rng(list(seed))
    left: list[int] = []
    while True:
        while len(left) < min(size, total):
            left += [int(index) for index in rng.permutation(total)]
        yield left[:size]
        left = left[size:]


def shifted_references(frames: Sequence[Frame]) -> dict[str, float]:
    """Energies of isolated atoms, plus the mean binding energy per atom of the other frames, eV.

    The elements then differ as their atoms do, which one composition alone does not tell, and the
    students begin near the energies of bound structures. Elements without an isolated atom are
    fitted.
    """
    energies = reference_energies(frames).energies
    binding = [
        (frame.energy - atomic_energy(frame, energies)) / len(frame.atoms)
        for frame in frames
        if frame.energy is not None and not frame.is_isolated_atom
    ]
    mean = float(np.mean(binding)) if binding else 0.0
    return {symbol: energy + mean for symbol, energy in energies.items()}


def loss_of(frames: Sequence[Frame], settings: StudentSettings) -> LossSettings:
    """The loss function for the labels that there are."""
    stress = any(frame.stress is not None for frame in frames)
    return LossSettings(stress=TargetLoss(weight=settings.stress_weight if stress else 0.0))


def _with_neighbors(settings: StudentSettings, frames: Sequence[Frame]) -> Mapping[str, Any]:
    """Hyperparameters with the mean number of neighbours, where the architecture wants it."""
    given = dict(settings.hyperparameters)
    entries = fields(architecture_class(settings.architecture).settings_class)
    defaults = {entry.name: entry.default for entry in entries}
    if "avg_num_neighbors" in defaults and given.get("avg_num_neighbors") is None:
        cutoff = float({**defaults, **given}["cutoff"])
        table = edge_table(frames, cutoff)
        total = sum(len(frame.atoms) for frame in frames)
        given["avg_num_neighbors"] = float(table.counts.sum()) / total
    return given
