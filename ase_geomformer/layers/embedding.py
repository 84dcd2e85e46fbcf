"""Initial features of the atoms: embeddings of elements, charge and spin."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.host import may_read
from ase_geomformer.layers.written_gradient import is_by_formula

NUM_ELEMENTS = 119  # rows of a table indexed by atomic number, 0 .. 118


def element_embedding(num_features: int) -> nn.Embedding:
    """A trainable row of features per element, normal with variance 1 / F at the start."""
    table = nn.Embedding(NUM_ELEMENTS, num_features)
    nn.init.normal_(table.weight, std=1.0 / math.sqrt(num_features))
    return table


class ElectronEmbedding(nn.Module):
    """Embedding (N, F) of a structure's charge or unpaired electrons, shared out by attention.

    Unke et al., SpookyNet, Nat. Commun. 12, 7273 (2021), as So3krates uses it: element queries
    weigh how much of the total each atom of the structure takes.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.query = nn.Embedding(NUM_ELEMENTS, num_features)
        self.key = nn.Embedding(2, num_features)
        self.value = nn.Embedding(2, num_features)
        self.dense_1 = dense(num_features, num_features, bias=False)
        self.dense_2 = dense(num_features, num_features, bias=False)

    def forward(self, graph: AtomGraph, total: Tensor) -> Tensor:
        """``total`` (B,) is the charge in e or the number of unpaired electrons."""
        fixed = not (total.requires_grad or self.query.weight.requires_grad or is_by_formula())
        if fixed and may_read(total) and not bool(total.any()):
            # Nothing to share out, as nearly always: all that follows is zero.
            return self.query.weight.new_zeros(graph.num_atoms, self.query.embedding_dim)
        silu = nn.functional.silu
        sign = (total < 0).long()[graph.batch]
        query, key = self.query(graph.atomic_numbers), self.key(sign)
        logits = (query * key).sum(dim=-1) / math.sqrt(query.shape[-1])
        weight = nn.functional.softplus(logits)
        norm = graph.structures.sum(weight)
        share = (total / norm)[graph.batch] * weight
        taken = share[:, None] * self.value(sign)
        return taken + self.dense_2(silu(self.dense_1(silu(taken))))
