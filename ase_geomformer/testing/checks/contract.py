"""Checks of the interface: outputs, settings, weights and compilation."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from ase_geomformer.acceleration import can_tabulate, tabulate
from ase_geomformer.architectures import Architecture, build
from ase_geomformer.architectures.base import architecture_names
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.memory_model import OVERHEAD, GraphSize, MemoryModel, PeakMemory
from ase_geomformer.testing.structures import assortment, crystal, ethanol, graph_of, triclinic
from ase_geomformer.testing.waiting import Waits


class ContractChecks:
    """The promises of the interface: outputs, settings, weights, and graphs for the compiler."""

    name: ClassVar[str]

    def test_outputs(self, potential: Potential) -> None:
        graph = graph_of(potential, assortment(potential.cutoff))
        before = [tensor.clone() for tensor in graph.tensors]
        outputs = potential.architecture(graph)
        assert outputs["energies"].shape == (graph.num_atoms,)
        assert outputs["energies"].dtype == graph.edge_vectors.dtype
        for values in outputs.values():
            assert len(values) == graph.num_atoms
        assert all(torch.equal(a, b) for a, b in zip(before, graph.tensors, strict=True))

    def test_evaluation_repeats_to_the_bit(self, potential: Potential) -> None:
        graph = graph_of(potential, ethanol())
        state = {name: value.clone() for name, value in potential.state_dict().items()}
        assert torch.equal(potential(graph)["forces"], potential(graph)["forces"])
        assert all(
            torch.equal(value, state[name]) for name, value in potential.state_dict().items()
        )

    def test_a_gpu_is_not_waited_for(self, potential: Potential) -> None:
        graph = graph_of(potential, assortment(potential.cutoff))
        with Waits() as waits:
            potential(graph, ("energy", "forces", "stress"))
        assert not waits.counts

    def test_memory_is_predicted(self, potential: Potential) -> None:
        """From the numbers of atoms, edges and far pairs, for graphs unlike the probes."""
        dense, large = (
            crystal("fcc", potential.cutoff) * 2,
            crystal("diamond", potential.cutoff) * 3,
        )
        for atoms in (dense, large):
            graph = graph_of(potential, atoms)
            with PeakMemory() as memory:
                potential(graph, ("forces",))
            predicted = MemoryModel(potential)(GraphSize.of(graph))
            assert predicted == pytest.approx(OVERHEAD * memory.peak, rel=0.25)

    def test_radial_tables(self, potential: Potential) -> None:
        """What filters make of the distance can be tabulated, and nothing else reads the basis."""
        if not can_tabulate(potential):
            pytest.skip("no filters of the distance alone")
        fast = potential.copy()
        tabulate(fast)
        graph = graph_of(potential, assortment(potential.cutoff))
        names = ("energies", "forces")
        for name, bound in zip(names, (1e-6, 1e-5), strict=True):
            difference = (fast(graph, names)[name] - potential(graph, names)[name]).abs().max()
            assert difference <= bound, name

    def test_seed_decides_the_weights(self, settings: dict[str, Any]) -> None:
        def weights(seed: int) -> Tensor:
            torch.manual_seed(seed)
            return torch.nn.utils.parameters_to_vector(build(self.name, settings).parameters())

        assert torch.equal(weights(1), weights(1))
        assert not torch.equal(weights(1), weights(2))

    def test_weights_round_trip(self, potential: Potential, settings: dict[str, Any]) -> None:
        """The state dict is all there is: another network filled with it gives the same bits."""
        torch.manual_seed(99)
        other = build(self.name, settings)
        graph = graph_of(potential, ethanol())
        assert not torch.equal(other(graph)["energies"], potential.architecture(graph)["energies"])
        other.load_state_dict(potential.architecture.state_dict())
        other.requires_grad_(False)  # What is frozen may be evaluated in another order.
        assert torch.equal(other(graph)["energies"], potential.architecture(graph)["energies"])

    def test_settings_round_trip_through_json(self, potential: Potential) -> None:
        architecture = potential.architecture
        stored = json.loads(json.dumps(architecture.settings_dict()))
        again = build(self.name, stored)
        assert again.settings == architecture.settings
        assert again.num_parameters == architecture.num_parameters > 0

    def test_settings_cannot_be_changed(self, potential: Potential) -> None:
        with pytest.raises(AttributeError):
            potential.architecture.settings.cutoff = 1.0

    def test_bad_settings_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=rf"{self.name} has no setting 'colour'.*cutoff"):
            build(self.name, {**settings, "colour": "blue"})
        with pytest.raises(ValueError, match=r"cutoff.* must be positive"):
            build(self.name, {**settings, "cutoff": -1.0})

    def test_registered(self, potential: Potential) -> None:
        assert self.name in architecture_names()
        assert isinstance(potential.architecture, Architecture)
        assert potential.architecture.name == self.name

    def test_compiles_without_graph_breaks(self, potential: Potential) -> None:
        """One graph serves structures of other sizes: no shape is burnt in, no data decides."""
        architecture, compilations = potential.architecture, []

        def count(module: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
            compilations.append(module)
            return module

        def energies(*tensors: Tensor) -> Tensor:
            return architecture(AtomGraph(*tensors))["energies"]

        torch._dynamo.reset()
        compiled = torch.compile(energies, fullgraph=True, dynamic=True, backend=count)
        for atoms in (ethanol(), triclinic(potential.cutoff) * (2, 1, 1)):
            graph = graph_of(potential, atoms)
            torch.testing.assert_close(compiled(*graph.tensors), energies(*graph.tensors))
        assert len(compilations) == 1

    def test_energy_and_forces_trace_to_one_graph(self, potential: Potential) -> None:
        """make_fx sees through the gradient: the traced graph serves other geometries."""

        def evaluate(*tensors: Tensor) -> tuple[Tensor, Tensor]:
            results = potential(AtomGraph(*tensors))
            return results["energy"], results["forces"]

        graph = graph_of(potential, ethanol())
        traced = make_fx(evaluate)(*graph.tensors)
        stretched = AtomGraph(*(1.02 * t if t is graph.edge_vectors else t for t in graph.tensors))
        for found, expected in zip(
            traced(*stretched.tensors), evaluate(*stretched.tensors), strict=True
        ):
            torch.testing.assert_close(found, expected)
