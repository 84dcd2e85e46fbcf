"""Positions of charged particles a thousand steps ahead: GeoMFormer's direct vectors on N-body.

The experiment of Satorras et al., EGNN (ICML 2021), after Fuchs et al. (NeurIPS 2020) and Kipf et
al. (ICML 2018): five particles with charges of plus or minus one move under inverse-square forces.
From positions, velocities and charges, positions one time unit later are predicted; the figure is
the mean square error over 2000 test trajectories. Data are generated, not downloaded. The model is
the paper's form of GeoMFormer: all pairs, vectors only, centred positions. From the root of a
checkout:

    python benchmarks/nbody.py --minutes 10 --output docs/benchmarks/nbody.json
"""

from __future__ import annotations

import math
import time
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

from ase_geomformer.architectures.geomformer.blocks import Block
from ase_geomformer.architectures.geomformer.equivariant import VectorReadout
from ase_geomformer.architectures.geomformer.settings import GeoMFormerSettings
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.attention import Edges
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.radial import GaussianBasis
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

PARTICLES = 5
TIMESTEP = 1e-3
FIRST, LAST = 3100, 4100  # steps at which positions are given and asked for
LARGEST_FORCE = 100.0  # of each component
SPLIT = {"train": 3000, "validation": 2000, "test": 2000}
BATCH = 100

# Mean square errors as published: Satorras et al. (2021), table 2; Chen et al. (2024).
PUBLISHED = {
    "SE(3)-Transformer": 0.0244,
    "TFN": 0.0155,
    "GNN": 0.0107,
    "Radial Field": 0.0104,
    "EGNN": 0.0071,
    "GeoMFormer": 0.0047,
}

FORMS = {
    "paper": {"edge_values": False, "directional_messages": False},
    "strengthened": {"edge_values": True, "directional_messages": True},
}
"""Settings of the model beyond the paper's form, by name."""


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Charges (B, 5), positions and velocities (B, 5, 3) at the start, positions at the end."""

    charges: Tensor
    positions: Tensor
    velocities: Tensor
    targets: Tensor

    def __getitem__(self, index: Tensor | slice) -> Trajectories:
        return Trajectories(
            self.charges[index], self.positions[index], self.velocities[index], self.targets[index]
        )

    def __len__(self) -> int:
        return len(self.charges)


def simulate(number: int, seed: int) -> Trajectories:
    """Trajectories by the published protocol, all at once.

    Positions start from a standard normal, velocities with length 0.5; each step moves positions
    by the velocities, then velocities by the forces, whose components are cut at 100.
    """
    generator = np.random.default_rng(seed)
    charges = generator.choice([-1.0, 1.0], size=(PARTICLES, number))
    # Trajectories run along the last axis, so that every operation is one on long vectors.
    positions = generator.normal(size=(PARTICLES, 3, number))
    velocities = generator.normal(size=(PARTICLES, 3, number))
    velocities *= 0.5 / np.linalg.norm(velocities, axis=1, keepdims=True)
    first, second = np.triu_indices(PARTICLES, 1)
    products = charges[first] * charges[second]
    velocities += TIMESTEP * coulomb(positions, products)
    for step in range(1, LAST + 1):
        positions = positions + TIMESTEP * velocities
        if step == FIRST:
            start = positions, velocities.copy()
        velocities += TIMESTEP * coulomb(positions, products)
    arrays = (charges, *start, positions)
    return Trajectories(*(torch.from_numpy(np.moveaxis(a, -1, 0).copy()).float() for a in arrays))


def coulomb(positions: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse-square forces (5, 3, B) from the products (10, B) of charges; likes repel."""
    pairs = np.arange(len(products))
    first, second = np.triu_indices(PARTICLES, 1)
    incidence = np.zeros((PARTICLES, len(products)))
    incidence[first, pairs], incidence[second, pairs] = 1.0, -1.0
    vectors = np.tensordot(incidence.T, positions, axes=1)
    squares = (vectors * vectors).sum(axis=1)
    pushes = vectors * (products / (squares * np.sqrt(squares)))[:, None]
    return np.clip(np.tensordot(incidence, pushes, axes=1), -LARGEST_FORCE, LARGEST_FORCE)


class Predictor(nn.Module):
    """Positions one time unit ahead: straight motion, and what GeoMFormer's vectors add to it.

    Parameters
    ----------
    settings : GeoMFormerSettings
        Of the blocks.
    """

    def __init__(self, settings: GeoMFormerSettings) -> None:
        super().__init__()
        width, streams = settings.num_features, settings.streams
        self.basis = GaussianBasis(settings.num_radial_basis, settings.cutoff)
        self.harmonics = SphericalHarmonics(streams.degrees)
        self.charges, self.senders = nn.Embedding(2, width), nn.Embedding(2, width)
        self.centrality = dense(settings.num_radial_basis, width)
        self.speed = dense(settings.num_radial_basis, width)
        # Channels of e from the places relative to the centre, and from the velocities.
        self.places = dense(settings.num_radial_basis, width)
        self.velocities = dense(settings.num_radial_basis, width)
        self.blocks = nn.ModuleList(
            [Block(settings, streams, names) for names in settings.modules_by_layer]
        )
        self.norm = streams.norm_e()
        self.head = VectorReadout(width, first=0)

    def forward(self, charges: Tensor, positions: Tensor, velocities: Tensor) -> Tensor:
        """Charges (B, 5), positions and velocities (B, 5, 3) to positions (B, 5, 3)."""
        centred = (positions - positions.mean(dim=1, keepdim=True)).flatten(0, 1)
        kinds = (charges.flatten() > 0).long()
        edges = self.edges(positions)
        sent = self.centrality(edges.radial) * edges.senders.gather(self.senders(kinds))
        x = self.charges(kinds) + edges.receivers.sum(sent)
        moving, e = self.vectors(velocities.flatten(0, 1), self.velocities)
        x = x + self.speed(moving)
        e = e + self.vectors(centred, self.places)[1]
        for block in self.blocks:
            x, e = block(x, e, edges)
        change = self.head(self.norm(e)).view_as(positions)
        return positions + velocities * (LAST - FIRST) * TIMESTEP + change

    def edges(self, positions: Tensor) -> Edges:
        """All ordered pairs of particles of each system."""
        systems, count, _ = positions.shape
        there = 1 - torch.eye(count, dtype=torch.long, device=positions.device)
        pairs = there.nonzero().repeat(systems, 1)
        first = count * torch.arange(systems, device=positions.device)
        receiver, sender = (pairs + first.repeat_interleave(count * (count - 1))[:, None]).unbind(1)
        flat = positions.flatten(0, 1)
        distances, directions = distances_and_directions(flat[sender] - flat[receiver])
        return Edges(
            receivers=Segments.of(receiver, len(flat)),
            senders=Segments.of(sender, len(flat)),
            radial=self.basis(distances),
            envelope=torch.ones_like(distances),
            harmonics=math.sqrt(4.0 * math.pi) * self.harmonics(directions),
        )

    def vectors(self, vectors: Tensor, channels: nn.Module) -> tuple[Tensor, Tensor]:
        """Basis of lengths (N, K), and directions times channels made of it (N, 3, F)."""
        lengths, directions = distances_and_directions(vectors)
        radial = self.basis(lengths)
        return radial, self.harmonics(directions)[:, :, None] * channels(radial)[:, None]


def settings_of(form: str, width: int, blocks: int) -> GeoMFormerSettings:
    """The paper's form for molecules, with a norm that differentiates well."""
    return GeoMFormerSettings(
        attention="all-pairs",
        scalar_component=False,
        max_degree=1,
        initial_vectors="centred",
        forces="direct",
        radial_basis="gaussian",
        cutoff=10.0,
        num_features=width,
        num_blocks=blocks,
        **FORMS[form],
    )


def mean_square_error(model: Predictor, data: Trajectories) -> float:
    with torch.no_grad():
        predicted = [
            model(part.charges, part.positions, part.velocities)
            for part in (data[first : first + 500] for first in range(0, len(data), 500))
        ]
    return float((torch.cat(predicted) - data.targets).square().mean())


def train(
    model: Predictor, data: dict[str, Trajectories], steps: int, minutes: float, lr: float
) -> tuple[int, float]:
    """Train until the steps or the minutes are over; the weights best in validation are kept.

    Returns
    -------
    steps : int
        Taken.
    error : float
        Best mean square error in validation.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-8)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=lr, total_steps=steps, pct_start=0.05, final_div_factor=1e3
    )
    best, kept = math.inf, {}
    end = time.monotonic() + 60.0 * minutes
    generator = torch.Generator().manual_seed(0)
    every = max(1, steps // 20)
    with Progress() as progress:
        task = progress.add_task("training", total=steps)
        for step in range(1, steps + 1):
            if step % (len(data["train"]) // BATCH) == 1:
                order = torch.randperm(len(data["train"]), generator=generator).split(BATCH)
            batch = data["train"][order[(step - 1) % len(order)]]
            optimizer.zero_grad()
            predicted = model(batch.charges, batch.positions, batch.velocities)
            (predicted - batch.targets).square().mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            over = time.monotonic() > end
            if step % every == 0 or step == steps or over:
                error = mean_square_error(model, data["validation"])
                progress.console.print(f"step {step}: validation {error:.5f}")
                if error < best:
                    best, kept = error, {k: v.clone() for k, v in model.state_dict().items()}
            progress.advance(task)
            if over:
                break
    model.load_state_dict(kept)
    return step, best


def main() -> None:
    """Generate, train, test, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=FORMS, default="strengthened")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6000, help="the schedule's length")
    parser.add_argument("--minutes", type=float, default=10.0, help="training stops after these")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    data = {name: simulate(number, seed) for seed, (name, number) in enumerate(SPLIT.items())}
    torch.manual_seed(0)
    settings = settings_of(options.form, options.width, options.blocks)
    model = Predictor(settings).float()
    start = time.process_time()
    steps, validation = train(model, data, options.steps, options.minutes, options.learning_rate)
    cpu_minutes = (time.process_time() - start) / 60.0
    test = data["test"]
    straight = test.positions + test.velocities * (LAST - FIRST) * TIMESTEP
    errors = {
        "straight motion over the true time, measured here": float(
            (straight - test.targets).square().mean()
        ),
        f"GeoMFormer, {options.form} form, measured here": mean_square_error(model, test),
    }
    table = Table("model", "mean square error", box=SIMPLE_HEAD)
    for name, error in {**PUBLISHED, **errors}.items():
        table.add_row(name, f"{error:.4f}")
    Console().print(table)
    if options.output is not None:
        result = {
            "mean_square_errors": errors,
            "published_mean_square_errors": PUBLISHED,
            "validation_mean_square_error": validation,
            "steps": steps,
            "passes_through_training_data": steps * BATCH / SPLIT["train"],
            "cpu_minutes": cpu_minutes,
            "parameters": sum(p.numel() for p in model.parameters()),
            "settings": asdict(settings),
            "torch": torch.__version__,
        }
        write_text(options.output, to_json(result))


if __name__ == "__main__":
    main()
