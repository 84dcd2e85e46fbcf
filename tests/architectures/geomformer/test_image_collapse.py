from __future__ import annotations

import torch

from ase_geomformer.architectures import build
from ase_geomformer.architectures.geomformer.image_collapse import attend_to_atoms
from ase_geomformer.architectures.geomformer.masked_softmax import Heads, attend
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.edges import Edges
from ase_geomformer.potential import Potential
from ase_geomformer.testing.structures import SYMBOLS, evaluate, triclinic

GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def test_images_together_give_what_they_give_one_by_one() -> None:
    """Three atoms with forty edges, atoms to their own images and some beyond the cutoff."""
    heads = Heads((1, 4, 4), num_heads=2, num_features=6)
    rows = [normal(3, heads.width) for _ in range(3)]
    receiver, sender = torch.randint(3, (2, 40), generator=GENERATOR)
    empty = torch.zeros(40, 0)
    ends = Segments(receiver, 3), Segments(sender, 3)
    edges = Edges(*ends, empty, normal(40).clamp(0.0, 1.0), empty)
    biases = {"edge_factor": normal(40, 6).exp(), "self_bias": normal(6), "bound": 8.0}
    expected = attend(*rows, heads, edges, **biases)
    torch.testing.assert_close(attend_to_atoms(*rows, heads, edges, **biases), expected)


def test_energies_forces_and_stress_are_the_same() -> None:
    """A cell shorter than the cutoff, in every direction."""
    results = []
    for collapse in (False, True):
        torch.manual_seed(0)
        settings = {"num_features": 16, "num_blocks": 2, "num_heads": 2, "cutoff": 3.8}
        plain = {"edge_values": False, "directional_messages": False, "image_collapse": collapse}
        potential = Potential(build("geomformer", {**settings, **plain}), SYMBOLS)
        results.append(evaluate(potential, triclinic(3.8)))
    for name in ("energies", "forces", "stress"):
        torch.testing.assert_close(results[1][name], results[0][name], rtol=0.0, atol=1e-11)
