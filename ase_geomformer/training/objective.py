"""The training objective: loss of a batch and its gradient, run eagerly or compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from ase_geomformer.acceleration.compiler import check_same, compiler_backend, trace
from ase_geomformer.graph.pair_graph import PairGraph
from ase_geomformer.potential import Potential
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.losses import LossSettings

# Targets whose errors are measured by the force scale; those of charges are in e and e Å.
MECHANICAL = ("energy", "forces", "stress")


class BatchLoss(NamedTuple):
    """Loss of a batch and its contributions; T targets are in use.

    ``loss`` () is the weighted sum of ``by_target`` (T,); ``absolute`` (T,) are the sums of the
    absolute errors of all components, in eV per atom, eV/Å, eV/Å^3, e and e Å.
    """

    loss: Tensor
    by_target: Tensor
    absolute: Tensor


class Objective:
    """Weighted loss of a batch under a potential.

    Parameters
    ----------
    potential : Potential
    settings : LossSettings
    scale : float
        What errors of energy, forces and stress are divided by: the root mean square force of the
        training set in eV/Å.

    Raises
    ------
    ValueError
        If the potential does not predict what the loss needs.
    """

    def __init__(self, potential: Potential, settings: LossSettings, scale: float) -> None:
        self.potential = potential
        self.targets = settings.targets
        self.scales = {name: scale if name in MECHANICAL else 1.0 for name in self.targets}
        self.properties = tuple({"charges" if n == "dipole" else n: None for n in self.targets})
        missing = sorted(set(self.properties) - set(potential.properties))
        if missing:
            raise ValueError(
                f"the loss needs {missing[0]}, which the architecture does not predict; add "
                "a charge head (model.settings.charge_width) or set the weight to 0"
            )

    def __call__(self, batch: LabelledGraph, weights: Tensor, counts: Tensor) -> BatchLoss:
        """Loss and error sums of a batch.

        Parameters
        ----------
        batch : LabelledGraph
        weights : Tensor, shape (T,)
            Present weight of each target in use.
        counts : Tensor, shape (T,)
            What each target's sum of losses is divided by: its number of labelled rows.
        """
        return self._evaluate(self.potential, batch, weights, counts)

    def counts(self, batch: LabelledGraph) -> Tensor:
        """Number of labelled rows, atoms or structures, of each target; shape (T,)."""
        return torch.stack([batch.rows(name).sum() for name in self.targets]).double()

    def _evaluate(
        self, potential: Any, batch: LabelledGraph, weights: Tensor, counts: Tensor
    ) -> BatchLoss:
        results = potential(batch.graph, self.properties, create_graph=True)
        losses, absolute = [], []
        for name, target in self.targets.items():
            rows = batch.rows(name)
            error = torch.where(rows[:, None], batch.error(name, results), 0.0)
            loss = torch.where(rows, target.of(error / self.scales[name]), 0.0)
            losses.append(loss.double().sum())
            absolute.append(error.detach().abs().double().sum())
        by_target = torch.stack(losses) / counts.clamp(min=1.0)
        return BatchLoss((weights * by_target).sum(), by_target, torch.stack(absolute))


class CompiledObjective(Objective):
    """The objective with loss, forces and weight gradients in one compiled graph.

    Forces are a gradient already, so training differentiates twice, which
    ``torch.compile`` does not follow. The whole computation is therefore traced into one graph
    of primitive operations first and compiled then. Batches are padded to one size, so that this
    happens once.

    Parameters
    ----------
    potential, settings, scale
        As for :class:`Objective`.
    num_atoms, num_edges, num_far_pairs : int
        Size every batch is padded to; at least one atom more than the largest batch has. Where the
        architecture takes pairs, so many edges are half as many pairs.
    """

    def __init__(
        self,
        potential: Potential,
        settings: LossSettings,
        scale: float,
        *,
        num_atoms: int,
        num_edges: int,
        num_far_pairs: int = 0,
    ) -> None:
        super().__init__(potential, settings, scale)
        self.takes_pairs = potential.architecture.takes_pairs
        self.num_edges = -(-num_edges // 2) if self.takes_pairs else num_edges
        self.num_atoms, self.num_far_pairs = num_atoms, num_far_pairs
        self._step: Any = None
        # Looking through all modules for them takes a millisecond.
        self._named: dict[str, Tensor] = {}

    def __call__(self, batch: LabelledGraph, weights: Tensor, counts: Tensor) -> BatchLoss:
        padded = self._paired(batch).pad(
            self.num_atoms, self.num_edges, self.potential.cutoff, self.num_far_pairs
        )
        inputs = (*padded.tensors, weights, counts)
        if self._step is None:
            everything = self.potential.named_parameters()
            self._named = {name: one for name, one in everything if one.requires_grad}
            self._step = self._compile(list(self._named), list(self._named.values()), inputs)
        parameters = list(self._named.values())
        with torch.no_grad():
            loss, by_target, absolute, *gradients = self._step(parameters, *inputs)
        loss = _KnownGradient.apply(loss, gradients, *parameters)
        return BatchLoss(loss, by_target, absolute)

    def _paired(self, batch: LabelledGraph) -> LabelledGraph:
        """The batch with each pair of neighbours once, where the architecture takes it so."""
        if not self.takes_pairs:
            return batch
        pairs = PairGraph.of(batch.graph)
        if pairs is None:
            raise ValueError("an edge of the batch lacks its reverse")
        return replace(batch, graph=pairs)

    def _compile(
        self, names: Sequence[str], parameters: Sequence[Tensor], inputs: Sequence[Tensor]
    ) -> Any:
        def step(values: Sequence[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
            *batch_tensors, weights, counts = tensors

            def potential(*arguments: Any, **keywords: Any) -> Any:
                state = dict(zip(names, values, strict=True))
                return functional_call(self.potential, state, arguments, keywords)

            batch = LabelledGraph.from_tensors(batch_tensors)
            if self.takes_pairs:
                batch = replace(batch, graph=PairGraph(*batch.graph.tensors))
            result = self._evaluate(potential, batch, weights, counts)
            gradients = torch.autograd.grad(
                result.loss, values, allow_unused=True, materialize_grads=True
            )
            return *(part.detach() for part in result), *gradients

        leaves = [parameter.detach().requires_grad_() for parameter in parameters]
        traced = trace(step, leaves, *inputs)
        compiled = torch.compile(traced, dynamic=False, backend=compiler_backend("inductor"))
        with torch.no_grad():
            found, expected = compiled(leaves, *inputs), traced(leaves, *inputs)
        check_same(with_one_gradient(found), with_one_gradient(expected), [*leaves, *inputs])
        return compiled


def with_one_gradient(results: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Results of a compiled step for :func:`check_same`, with all gradients as one.

    Where large terms cancel in a small gradient, rounding leaves as much as in a large one.
    """
    loss, by_target, absolute, *gradients = results
    return loss, by_target, absolute, torch.cat([one.flatten() for one in gradients])


class _KnownGradient(torch.autograd.Function):
    """A loss whose gradient with respect to the parameters has been computed with it.

    It lets optimisers, gradient clipping and data-parallel hooks see an ordinary loss.
    """

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        (scale,) = outputs
        return None, None, *torch._foreach_mul(ctx.gradients, scale.to(ctx.gradients[0].dtype))
