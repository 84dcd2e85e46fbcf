"""Settings of a training: the Python API, the YAML file and the command line in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ase_geomformer.checkpoint.folder import DataSource
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.data.splits import SplitSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown
from ase_geomformer.training.losses import LossSettings


@dataclass(frozen=True)
class OptimizerSettings(Shown):
    """Optimizer and learning-rate schedule.

    Attributes
    ----------
    kind
        ``muon`` orthogonalises the momentum of hidden matrices and updates the rest with Adam; on
        rMD17 ethanol it needs about a third of the steps of ``adamw``.
    learning_rate
        Maximum learning rate, reached after the warm-up.
    final_learning_rate
        Learning rate at the last step of ``cosine`` and ``exponential``.
    schedule
        ``cosine``, ``exponential``, ``plateau`` (divide by ``plateau_factor`` when the
        validation loss stalls) or ``constant``.
    warmup_steps
        Number of steps over which the learning rate rises from zero: at most a tenth of all
        steps, and with run.minutes of the time.
    weight_decay
        Decoupled weight decay of matrices; vectors are not decayed.
    amsgrad
        Use the AMSGrad variant; ``adamw`` only.
    clip_norm
        Maximum norm of the gradient (gradient clipping).
    ema_decay
        Decay rate of the exponential moving average of the weights, which is evaluated and saved.
    plateau_factor
        Factor by which ``plateau`` divides the learning rate.
    plateau_patience
        Number of validations without improvement before ``plateau`` lowers the learning rate.
    """

    kind: Literal["muon", "adamw"] = "muon"
    learning_rate: float = ranged(1e-3, 0, 10, above=True)
    final_learning_rate: float = ranged(1e-6, 0, 10, above=True)
    schedule: Literal["cosine", "exponential", "plateau", "constant"] = "cosine"
    warmup_steps: int = ranged(500, 0, 10**9)
    weight_decay: float = ranged(0.0, 0, 1000)
    amsgrad: bool = True
    clip_norm: float = ranged(10.0, 0, 1e9, above=True)
    ema_decay: float = ranged(0.999, 0, 0.999999999)
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
class CardSettings(Shown):
    """Contents of the potential's card.

    Attributes
    ----------
    description
        One sentence on what the potential is for.
    licence
        Licence of the weights, as an SPDX identifier.
    citations
        References that users should cite, one entry each.
    data
        Training data sets.
    """

    description: str = ""
    licence: str = ""
    citations: list[str] = field(default_factory=list)
    data: list[DataSource] = field(default_factory=list)


@dataclass(frozen=True)
class RunSettings(Shown):
    """Length of the training, hardware and checkpoints.

    Attributes
    ----------
    steps
        Total number of optimizer steps.
    minutes
        Wall time after which training ends, if the steps are not done by then; the learning rate
        falls with the time. Not limited by default.
    validate_every
        Number of steps between validations.
    patience
        Number of validations without improvement after which training stops; by default it does not
        stop early.
    seed
        Random seed of the initial weights and of the order of batches.
    dtype
        Floating-point dtype of the training.
    compile
        Compile the training step with torch.compile; takes one to two minutes, then trains faster.
    checkpoint_minutes
        Minutes between checkpoints.
    accelerator
        Hardware: ``auto``, ``cpu`` or ``gpu``.
    devices
        Number of devices per node: GPUs, or processes on the CPU.
    num_nodes
        Number of nodes.
    progress
        Show a progress bar.
    """

    steps: int = ranged(100_000, 1, 10**12)
    minutes: float | None = ranged(None, 0, 1e7, "min", above=True)
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
class ModelSettings(Shown):
    """Architecture, energy terms and reference energies.

    Attributes
    ----------
    architecture
        Registered name of the architecture, such as ``so3krates``.
    settings
        Hyperparameters that differ from the defaults; ``avg_num_neighbors`` is computed from the
        training set if not given.
    terms
        Additional energy terms by name, with their settings: ``{zbl: {}}``.
    reference_energies_eV
        Energy of an isolated atom of each element, by symbol; by default fitted to the data or, for
        fine-tuning, taken from the initial potential.
    refit_references
        For fine-tuning: shift the reference energies to fit the difference between the new data and
        the potential, as for another level of theory. Where energies of the data are on average
        more than 0.1 eV per atom from those of the potential, it is done in any case, unless
        ``reference_energies_eV`` are given.
    start_from
        Name or path of the potential to fine-tune; its architecture and terms are used.
    freeze
        Parameters to keep fixed, as shell patterns of their names, such as
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
                f"model.{given[0]} cannot be set for fine-tuning, where they are those of "
                f"{self.start_from}; leave them out"
            )
        if self.refit_references and self.reference_energies_eV is not None:
            raise ValueError("give model.reference_energies_eV or refit_references, not both")


@dataclass(frozen=True)
class BatchSettings(Shown):
    """Batch sizes.

    Attributes
    ----------
    size
        Size of a training batch, over all processes together.
    validation_size
        Size of a validation batch.
    measure
        Unit of the batch sizes: ``frames``, ``atoms`` or ``edges``.
    balanced
        Distribute small and large structures evenly over the batches; compiled training of data
        with very different sizes then needs less padding.
    """

    size: int = ranged(10, 1, 10**9)
    validation_size: int = ranged(100, 1, 10**9)
    measure: Literal["frames", "atoms", "edges"] = "frames"
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.balanced and self.measure != "frames":
            raise ValueError(
                f"batches of {self.measure} cannot be balanced: leave out batches.balanced, or set "
                "batches.measure to frames"
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
class TrainSettings(Shown):
    """Settings of a training.

    Attributes
    ----------
    name
        Name of the potential.
    data
        Labelled structures.
    split
        Split of ``data`` into training, validation and test set.
    validation_data
        Validation set, instead of a part of ``data``.
    test_data
        Test set, instead of a part of ``data``.
    model
        Architecture, energy terms and reference energies.
    loss
        Loss function.
    batches
        Batch sizes.
    optimizer
        Optimizer and learning-rate schedule.
    run
        Length of the training, hardware and checkpoints.
    card
        Contents of the potential's card.
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
