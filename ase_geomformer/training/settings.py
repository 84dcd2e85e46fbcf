"""Settings of a training: the Python API, the YAML file and the command line in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ase_geomformer.checkpoint.folder import DataSource
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.data.splits import SplitSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.training.losses import LossSettings


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights are updated.

    Attributes
    ----------
    kind
        ``muon`` orthogonalises the momentum of hidden matrices and updates the rest with Adam; on
        rMD17 ethanol it needs about a third of the steps of ``adamw``.
    learning_rate
        Highest learning rate, after the warm-up.
    final_learning_rate
        Learning rate at the last step of ``cosine`` and ``exponential``.
    schedule
        ``cosine``, ``exponential``, ``plateau`` (divide by ``plateau_factor`` when the
        validation loss stalls) or ``constant``.
    warmup_steps
        Steps in which the learning rate rises from zero.
    weight_decay
        Decoupled decay of matrices; vectors are left alone.
    amsgrad
        Keep the largest second moment seen, AMSGrad; ``adamw`` only.
    clip_norm
        Largest norm of the gradient; longer ones are scaled down.
    ema_decay
        Decay of the running average of the weights, which is what is evaluated and shipped.
    plateau_factor
        What ``plateau`` divides the learning rate by.
    plateau_patience
        Validations without a better loss that ``plateau`` waits for.
    """

    kind: Literal["muon", "adamw"] = "muon"
    learning_rate: float = ranged(1e-3, 0, 10, above=True)
    final_learning_rate: float = ranged(1e-6, 0, 10, above=True)
    schedule: Literal["cosine", "exponential", "plateau", "constant"] = "cosine"
    warmup_steps: int = ranged(500, 0, 10**9)
    weight_decay: float = ranged(0.0, 0, 1000)
    amsgrad: bool = True
    clip_norm: float = ranged(10.0, 0, 1e9, above=True)
    ema_decay: float = ranged(0.999, 0, 1)
    plateau_factor: float = ranged(2.0, 1, 1e6, above=True)
    plateau_patience: int = ranged(10, 0, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)
        require(
            self,
            self.final_learning_rate <= self.learning_rate,
            "final_learning_rate",
            f"at most learning_rate = {self.learning_rate!r}",
        )


@dataclass(frozen=True)
class CardSettings:
    """What the card of the trained potential says about it.

    Attributes
    ----------
    description
        One sentence: what the potential is for.
    licence
        Licence of the weights, as an SPDX identifier.
    citations
        What users should cite, one entry each.
    data
        The data sets trained on.
    """

    description: str = ""
    licence: str = ""
    citations: list[str] = field(default_factory=list)
    data: list[DataSource] = field(default_factory=list)


@dataclass(frozen=True)
class RunSettings:
    """How long, where and how a training runs.

    Attributes
    ----------
    steps
        Optimiser steps in all.
    validate_every
        Steps between validations.
    patience
        Validations without a better loss after which training stops early; never when left out.
    seed
        Seed of the initial weights and of the order of batches.
    dtype
        Type to train in.
    compile
        Compile the training step; pays after a minute or two.
    checkpoint_minutes
        Minutes between checkpoints to resume from.
    accelerator
        ``auto``, ``cpu`` or ``gpu``.
    devices
        Devices, or processes on the CPU, on each node.
    num_nodes
        Number of nodes.
    progress
        Show a progress bar.
    """

    steps: int = ranged(100_000, 1, 10**12)
    validate_every: int = ranged(1000, 1, 10**12)
    patience: int | None = ranged(None, 1, 10**9)
    seed: int = ranged(0, 0, 2**63 - 1)
    dtype: Literal["float32", "float64"] = "float32"
    compile: bool = False
    checkpoint_minutes: float = ranged(5.0, 0, 1e5, "min", above=True)
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = ranged(1, 1, 10000)
    num_nodes: int = ranged(1, 1, 10000)
    progress: bool = True

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def world_size(self) -> int:
        """Number of processes that train together."""
        return self.devices * self.num_nodes


@dataclass(frozen=True)
class ModelSettings:
    """The potential to train.

    Attributes
    ----------
    architecture
        Registered name, such as ``so3krates``.
    settings
        Its hyper-parameters where they differ from the defaults; ``avg_num_neighbors`` is
        measured on the training set when left out.
    terms
        Energy terms of known form by name, with their settings: ``{zbl: {}}``.
    reference_energies_eV
        Energy of one atom of each element by symbol; found from the data when left out, and
        when fine-tuning those of the potential one starts from.
    refit_references
        When fine-tuning, shift the reference energies by what fits the difference between the
        new data and the potential best: for data of another level of theory.
    start_from
        Name or path of a potential to fine-tune; its architecture and terms are used.
    freeze
        Parameters to keep as they are, as shell patterns of their names, such as
        ``architecture.layers.0.*``.
    """

    architecture: str = "so3krates"
    settings: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, dict[str, Any]] = field(default_factory=dict)
    reference_energies_eV: dict[str, float] | None = None
    refit_references: bool = False
    start_from: str | None = None
    freeze: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.start_from is None:
            return
        given = [name for name in ("settings", "terms") if getattr(self, name)]
        if given:
            raise ValueError(
                f"model.{given[0]} cannot change when fine-tuning: they are those of "
                f"{self.start_from}; leave them out"
            )
        if self.refit_references and self.reference_energies_eV is not None:
            raise ValueError("give model.reference_energies_eV or refit_references, not both")


@dataclass(frozen=True)
class BatchSettings:
    """How frames are put together into batches.

    Attributes
    ----------
    size
        Budget of a batch of the training set, over all processes together.
    validation_size
        Budget of a batch of the validation set.
    measure
        What the budgets count: ``frames``, ``atoms`` or ``edges``.
    balanced
        Give every batch of frames small and large ones alike. Where structures differ much in
        size, a compiled training wastes less on filling batches up to the largest.
    """

    size: int = ranged(10, 1, 10**9)
    validation_size: int = ranged(100, 1, 10**9)
    measure: Literal["frames", "atoms", "edges"] = "frames"
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.balanced and self.measure != "frames":
            raise ValueError(
                f"batches of {self.measure} cannot be balanced: leave out batches.balanced, or let "
                "batches.measure be frames"
            )
        check_settings(self)

    def per_process(self, world_size: int) -> int:
        """One process's part of the batch size.

        Raises
        ------
        ValueError
            If it cannot be divided evenly.
        """
        if self.size % world_size:
            raise ValueError(
                f"batches.size {self.size} cannot be shared equally by {world_size} processes; "
                f"choose a multiple of {world_size}"
            )
        return self.size // world_size


@dataclass(frozen=True)
class TrainSettings:
    """A whole training.

    Attributes
    ----------
    name
        Name of the potential.
    data
        Labelled structures, divided as ``split`` says.
    split
        How ``data`` is divided.
    validation_data
        Labelled structures to watch the training with, instead of a part of ``data``.
    test_data
        Labelled structures to judge the result by, instead of a part of ``data``.
    model
        The potential to train.
    loss
        What is minimised.
    batches
        How frames are put together into batches.
    optimizer
        How weights are updated.
    run
        How long, where and how.
    card
        What the card of the potential says.
    """

    name: str
    data: DataSettings
    split: SplitSettings = field(default_factory=SplitSettings)
    validation_data: DataSettings | None = None
    test_data: DataSettings | None = None
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    batches: BatchSettings = field(default_factory=BatchSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    run: RunSettings = field(default_factory=RunSettings)
    card: CardSettings = field(default_factory=CardSettings)

    def __post_init__(self) -> None:
        self.batches.per_process(self.run.world_size)
