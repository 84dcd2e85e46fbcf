"""Statistics of training data for domain and uncertainty, calibrated on structures held out.

Uncertainties are those of the last layer's weights given the training data (last-layer prediction
rigidity, Bigi, Chong, Ceriotti, Grasselli, Mach. Learn.: Sci. Technol. 5, 045018 (2024)): with
features phi of a structure, sums over its atoms in eV, the variance of its energy is
``a^2 phi^T H^-1 phi`` with ``H = sum phi phi^T / s_E^2 + sum J J^T / s_F^2 + r I``, sums over
energies and forces of the training data, J = -d phi / d x. The sum over forces is estimated from
derivatives of phi along random directions v, since the mean of ``(J^T v)(J^T v)^T`` over v of
random signs is the sum over all coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from ase_geomformer.confidence.statistics import Confidence
from ase_geomformer.data.frames import Frame
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.joint import graphs
from ase_geomformer.potential import Potential
from ase_geomformer.runs.report import tracked
from ase_geomformer.runtime.features import atom_features, scaled_features

# Of more structures a random choice is used.
MOST_FRAMES = 600
# Random directions for each structure, and how far along them, in Å.
DIRECTIONS = 2
STEP_A = 2e-3
# Share of the covariance's trace that is added to each direction, so that none is certain.
REGULARIZATION = 1e-6
# Candidates for r, in parts of the largest eigenvalue of the rest of H.
RIDGES = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# Where variances of forces are smaller, in parts of the mean, symmetry forbids forces and errors.
SYMMETRIC = 1e-4
# Shortest distances of the data are too long by so much: it is finite.
NEARER = 0.95
# An atom farther from its element's mean than the farthest one held out, by this factor, is unlike.
MARGIN = 1.25
# An element with fewer atoms than features has a covariance of low rank, which the rest of the
# spread of all elements fills.
SHARED = 0.02


@dataclass(frozen=True, eq=False)
class Features:
    """Features of structures.

    Attributes
    ----------
    atoms : Tensor (N, D)
    numbers : Tensor (N,)
    sums : Tensor (S, D)
        Scaled, summed over each structure, eV.
    slopes : Tensor (S, directions, D)
        Their derivatives along random directions, eV/Å.
    sizes : Tensor (S,)
        Numbers of atoms.
    distances_A : dict
        Shortest distance of each pair of elements.
    """

    atoms: Tensor
    numbers: Tensor
    sums: Tensor
    slopes: Tensor
    sizes: Tensor
    distances_A: dict[tuple[int, int], float]


def fit_confidence(
    potential: Potential,
    train: Sequence[Frame],
    held_out: Sequence[Frame],
    *,
    progress: bool = False,
) -> Confidence:
    """Statistics of the training data of a potential.

    Parameters
    ----------
    potential : Potential
        With the card of its folder.
    train : sequence of Frame
    held_out : sequence of Frame
        Labelled, and not trained on.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError
        If there are no structures, or those held out have no energies and forces.
    """
    if not train or not held_out:
        raise ValueError("statistics need structures that were trained on, and others")
    exact = potential.copy(device="cpu", dtype=torch.float64)
    random = np.random.default_rng(0)
    known = features_of(exact, [f.atoms for f in _some(train, random)], random, progress)
    other = features_of(exact, [f.atoms for f in held_out], random, progress)
    errors = errors_of(exact, held_out)
    elements = np.unique(known.numbers.numpy())
    means, whitening, limits = _domains(known, other, elements)
    root = _root(known, other, errors)
    made = Confidence(
        sha256=potential.card.sha256 if potential.card else "",
        data=_data_name(potential),
        elements=elements,
        means=means.float(),
        whitening=whitening.float(),
        limits=limits.float(),
        min_distances_A=_distances(known, elements),
        root=root.float(),
        energy_factor=1.0,
        forces_factor=1.0,
    )
    energy, forces = errors
    return replace(
        made,
        energy_factor=_factor(energy, made.energy_uncertainty(other.sums)),
        forces_factor=_forces_factor(forces, made, other),
    )


def features_of(
    potential: Potential, structures: Sequence[Atoms], random: np.random.Generator, progress: bool
) -> Features:
    """Features of structures, and their derivatives along random directions."""
    atoms, numbers, sums, slopes = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
    nearest: dict[tuple[int, int], float] = {}
    for graph in _graphs(potential, tracked(list(structures), "Features", progress)):
        found = atom_features(potential, graph)
        atoms.append(found.float())
        numbers.append(graph.atomic_numbers)
        sums.append(graph.structures.sum(scaled_features(potential, found, graph.atomic_numbers)))
        _take_nearest(graph, nearest)
    for _ in range(DIRECTIONS):
        moved = [_moved(one, random) for one in structures]
        ends = [
            torch.cat([_sums(potential, graph) for graph in _graphs(potential, way)])
            for way in ([one for one, _ in moved], [other for _, other in moved])
        ]
        slopes.append((ends[0] - ends[1]) / (2.0 * STEP_A))
    whole = torch.stack(slopes, dim=1)
    sizes = torch.tensor([len(one) for one in structures], dtype=torch.float64)
    return Features(torch.cat(atoms), torch.cat(numbers), torch.cat(sums), whole, sizes, nearest)


def errors_of(potential: Potential, frames: Sequence[Frame]) -> tuple[Tensor, Tensor]:
    """Errors of energies (S,), eV, and the mean square of each structure's forces (S,), eV²/Å².

    The mean of the energies' errors is taken off: a constant is none of the uncertainty.
    """
    found = evaluate_many([frame.atoms for frame in frames], potential, ("energy", "forces"))
    pairs = list(zip(frames, found, strict=True))
    energies, squares = list[float](), list[float]()
    for frame, results in pairs:
        if frame.energy is None or frame.forces is None:
            raise ValueError("structures held out need energies and forces to calibrate with")
        energies.append(frame.energy - results["energy"])
        squares.append(float(np.mean(np.square(frame.forces - results["forces"]))))
    errors = torch.tensor(energies, dtype=torch.float64)
    return errors - errors.mean(), torch.tensor(squares, dtype=torch.float64)


def _some(frames: Sequence[Frame], random: np.random.Generator) -> list[Frame]:
    if len(frames) <= MOST_FRAMES:
        return list(frames)
    chosen = np.sort(random.choice(len(frames), MOST_FRAMES, replace=False))
    return [frames[index] for index in chosen]


def _data_name(potential: Potential) -> str:
    data = getattr(potential.card, "data", [])
    return ", ".join(source.name for source in data) or "its training data"


def _graphs(potential: Potential, structures: Iterable[Atoms]) -> Iterator[AtomGraph]:
    return graphs(structures, potential.cutoff, far_cutoff=potential.far_cutoff)


def _moved(atoms: Atoms, random: np.random.Generator) -> tuple[Atoms, Atoms]:
    """A structure a step along a random direction, and one step back."""
    ways = STEP_A * random.choice([-1.0, 1.0], size=(len(atoms), 3))
    ahead, back = atoms.copy(), atoms.copy()
    ahead.positions += ways
    back.positions -= ways
    return ahead, back


def _sums(potential: Potential, graph: AtomGraph) -> Tensor:
    features = atom_features(potential, graph)
    return graph.structures.sum(scaled_features(potential, features, graph.atomic_numbers))


def _take_nearest(graph: AtomGraph, nearest: dict[tuple[int, int], float]) -> None:
    distances = graph.edge_vectors.norm(dim=1).numpy()
    first, second = graph.atomic_numbers[graph.edge_index].numpy()
    for pair in np.unique(np.stack([first, second]), axis=1).T:
        key = (int(pair[0]), int(pair[1]))
        own = distances[(first == key[0]) & (second == key[1])]
        nearest[key] = min(nearest.get(key, np.inf), float(own.min()))


def _distances(known: Features, elements: np.ndarray) -> Tensor:
    least = {pair: NEARER * value for pair, value in known.distances_A.items()}
    table = [[least.get((int(a), int(b)), np.inf) for b in elements] for a in elements]
    return torch.tensor(table, dtype=torch.float32)


def _domains(
    known: Features, other: Features, elements: np.ndarray
) -> tuple[Tensor, Tensor, Tensor]:
    """Means, whitening and limits of each element."""
    means, whitening, limits = list[Tensor](), list[Tensor](), list[Tensor]()
    pooled = known.atoms.double().T.cov()
    for number in elements:
        own = known.atoms[known.numbers == int(number)].double()
        rest = other.atoms[other.numbers == int(number)].double()
        mean = own.mean(dim=0)
        spread = (own - mean).T @ (own - mean) / max(len(own) - 1, 1)
        share = SHARED * own.shape[1] / (own.shape[1] + len(own))
        spread = (1.0 - share) * spread + share * pooled
        spread += REGULARIZATION * spread.diagonal().mean() * torch.eye(len(spread)).double()
        white = torch.linalg.inv(torch.linalg.cholesky(spread))
        lengths = torch.cat([((atoms - mean) @ white.T).norm(dim=1) for atoms in (own, rest)])
        means.append(mean)
        whitening.append(white)
        limits.append(MARGIN * lengths.max())
    return torch.stack(means), torch.stack(whitening), torch.stack(limits)


def _root(known: Features, other: Features, errors: tuple[Tensor, Tensor]) -> Tensor:
    """Root of the covariance of the weights, with the ridge of the best likelihood held out."""
    energy, forces = errors
    sums, slopes = known.sums, known.slopes.flatten(0, 1)
    hessian = sums.T @ sums / energy.square().mean()
    hessian += slopes.T @ slopes / (known.slopes.shape[1] * forces.mean())
    values, vectors = torch.linalg.eigh(hessian)
    best, chosen = np.inf, torch.zeros(0)
    for ridge in RIDGES:
        root = vectors / (values.clamp(min=0) + ridge * values[-1]).sqrt()
        spread = (other.sums @ root).norm(dim=1)
        spread = spread * _factor(energy, spread)
        surprise = float((spread.log() + 0.5 * (energy / spread).square()).mean())
        if surprise < best:
            best, chosen = surprise, root
    return chosen


def _factor(errors: Tensor, spread: Tensor) -> float:
    """What uncertainties are multiplied with so that they are as large as the errors."""
    return float((errors / spread).square().mean().sqrt())


def _forces_factor(squares: Tensor, confidence: Confidence, other: Features) -> float:
    """The same of forces, from the mean variance of each structure's components."""
    variances = (other.slopes @ confidence.root.double()).square().sum(dim=2).mean(dim=1)
    # Along a direction of random signs the variance is the sum of those of all coordinates.
    means = variances / (3.0 * other.sizes)
    kept = means > SYMMETRIC * means.mean()
    return float((squares / means)[kept].mean().sqrt())
