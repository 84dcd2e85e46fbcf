"""How a potential becomes compiled code, and how that is compared with the potential."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from ase_geomformer.acceleration.artifact import (
    Artifact,
    by_potential,
    compiled_inputs,
    compiled_properties,
)
from ase_geomformer.acceleration.compiler import MiscompiledError
from ase_geomformer.acceleration.decompositions import ahead_of_time_decompositions
from ase_geomformer.acceleration.lone_thread import lone_thread
from ase_geomformer.acceleration.native import own_operations
from ase_geomformer.acceleration.tables import probe_graph
from ase_geomformer.graph.atom_graph import AXES
from ase_geomformer.graph.pair_graph import PairGraph
from ase_geomformer.layers.written_gradient import by_formula
from ase_geomformer.physics.reciprocal import multiples
from ase_geomformer.potential import Potential

# Sizes of the graph that the computation is traced with. They are all different, and none is a
# length that stays fixed, such as the three components of a vector: what is equal once is taken to
# be equal always. They are no smaller than what an operation is written in another way for.
ATOMS, PAIRS, FAR_PAIRS, STRUCTURES = 39, 439, 101, 5
WAVES = (7, 8, 9)
# Largest differences from the potential in eV/atom, eV/Å, eV/Å^3 and e, besides what rounding makes
# of the potential itself.
TOLERANCES = {"energies": 1e-6, "forces": 1e-5, "stress": 1e-6}
OTHER_TOLERANCE = 1e-5
# However many threads there are where it is compiled, and where it runs.
OPTIONS = {"cpp.dynamic_threads": True}
# What reads a weight in another order.
VIEWS = (
    torch.ops.aten.t.default,
    torch.ops.aten.transpose.int,
    torch.ops.aten.permute.default,
    torch.ops.aten.reshape.default,
    torch.ops.aten.unsqueeze.default,
)
# All intermediate results in one piece of memory, where they take turns: a quarter less memory, and
# 0.02 ms less for ethanol, for which 140 pieces were allocated.
CPU_OPTIONS = {"memory_planning": True}
# The kernels of a GPU in the shared object itself, which then is all that there is to keep.
GPU_OPTIONS = {"aot_inductor.embed_kernel_binary": True}


def build(potential: Potential, file: Path) -> None:
    """Compile a potential into a shared object, and compare it with the potential.

    The computation, gradient included, is traced into one graph of primitive operations with
    symbolic numbers of atoms, edges, far pairs, structures and waves (``torch.export``), which
    inductor compiles ahead of time. It takes one to three minutes of processor time, two thirds of
    it in this process and one in the C++ compiler, and half a gigabyte of memory.

    Parameters
    ----------
    potential : Potential
        With the radial tables that it will be evaluated with, on a CPU. On a GPU this is tried by
        ``benchmarks/gpu.py`` only.
    file : Path
        Where the shared object goes; its name ends in ``.so``.

    Raises
    ------
    MiscompiledError
        If the compiled code gives something else; nothing is left at ``file`` then.
    Exception
        Whatever torch's compiler raises where it cannot compile the potential.
    """
    from torch._inductor import aot_compile

    with torch.no_grad(), _private_folder(file.parent) as folder, _quiet():
        inputs, program = _exported(potential)
        made = folder / "potential.so"
        on_cpu = potential.device.type == "cpu"
        options: dict[str, object] = {**OPTIONS, **(CPU_OPTIONS if on_cpu else GPU_OPTIONS)}
        options["aot_inductor.output_path"] = str(made)
        with lone_thread(), own_operations() if on_cpu else nullcontext():
            aot_compile(program.module(), tuple(inputs), options=options)
        compare(Artifact(made, potential), potential)
        file.write_bytes(made.read_bytes())


def _exported(potential: Potential) -> tuple[list[Tensor], torch.export.ExportedProgram]:
    """The computation as a program of any sizes, and inputs of those it was traced with."""
    from torch.fx.experimental.proxy_tensor import make_fx

    names = compiled_properties(potential)

    def computation(*tensors: Tensor) -> tuple[Tensor, ...]:
        graph, steps = PairGraph(*tensors[: len(AXES)]), tensors[len(AXES) :]
        with by_formula(), potential.with_waves((steps[0], steps[1], steps[2]) if steps else None):
            results = by_potential(potential, graph, names)
        return tuple(results[name] for name in names)

    graph = _traced_graph(potential)
    steps = multiples(WAVES, graph.positions) if potential.is_reciprocal else None
    inputs = compiled_inputs(graph, steps)
    traced = make_fx(
        computation,
        decomposition_table=ahead_of_time_decompositions(),
        tracing_mode="symbolic",
        _allow_non_fake_inputs=True,  # the weights
    )(*inputs)
    simplify(traced)
    for node in traced.graph.nodes:
        node.meta.clear()  # Exporting traces anew, with symbols of its own.
    traced.recompile()
    # An axis of length zero is an input that the potential does not need.
    shapes = tuple(
        {axis: torch.export.Dim.DYNAMIC} if tensor.shape[axis] else None
        for tensor, axis in zip(inputs, [*AXES, *(0 for _ in steps or ())], strict=True)
    )
    program = torch.export.export(traced, tuple(inputs), dynamic_shapes=shapes, strict=False)
    return inputs, program


def simplify(traced: torch.fx.GraphModule) -> None:
    """Prepare a traced computation for inductor, in place: the same numbers by fewer operations."""
    from torch._functorch.compile_utils import fx_graph_cse

    for node in traced.graph.find_nodes(op="call_function", target=torch.ops.aten.view.default):
        # Inductor may lay out what it computes differently: the graph asks for the shape only.
        node.target = torch.ops.aten.reshape.default
    traced.graph = fx_graph_cse(traced.graph)
    traced.graph.eliminate_dead_code()
    _lay_out_weights(traced)


def _lay_out_weights(traced: torch.fx.GraphModule) -> None:
    """Keep weights that are read transposed in the order in which they are read.

    Their products are then what compiled code evaluates itself, without copying them first.
    """
    seen: dict[torch.fx.Node, Tensor] = {}
    for node in list(traced.graph.nodes):
        if node.op == "get_attr":
            seen[node] = getattr(traced, str(node.target))
            continue
        if node.target not in VIEWS or node.args[0] not in seen:
            continue
        view = seen[node] = node.target(seen[node.args[0]], *node.args[1:], **node.kwargs)
        if view.is_contiguous() or all(user.target in VIEWS for user in node.users):
            continue
        name = f"_laid_out_{node.name}"
        traced.register_buffer(name, view.detach().contiguous())
        with traced.graph.inserting_before(node):
            laid_out = traced.graph.get_attr(name)
        node.replace_all_uses_with(laid_out, delete_user_cb=lambda user: user.target not in VIEWS)
    traced.graph.eliminate_dead_code()


def _traced_graph(potential: Potential) -> PairGraph:
    """A graph of distinct sizes; tracing reads no value in it."""
    dtype = potential.dtype
    pairs = FAR_PAIRS if potential.far_cutoff else 0
    return PairGraph(
        atomic_numbers=torch.full((ATOMS,), potential.elements[0]),
        edge_index=torch.zeros(2, PAIRS, dtype=torch.int64),
        edge_vectors=torch.ones(PAIRS, 3, dtype=dtype),
        batch=torch.zeros(ATOMS, dtype=torch.int64),
        charge=torch.zeros(STRUCTURES, dtype=dtype),
        spin=torch.ones(STRUCTURES, dtype=dtype),
        cell=torch.eye(3, dtype=dtype).repeat(STRUCTURES, 1, 1),
        far_index=torch.zeros(2, pairs, dtype=torch.int64),
        far_vectors=torch.ones(pairs, 3, dtype=dtype),
        positions=torch.ones(ATOMS, 3, dtype=dtype),
    ).to(potential.device)


def compare(compiled: Callable[..., dict[str, Tensor]], potential: Potential) -> None:
    """Compare compiled code with its potential in float64, on the probe structures of tables.

    All structures together, then single ones: the dense cell, and two atoms.

    Raises
    ------
    MiscompiledError
        If energies differ by more than 1e-6 eV/atom, forces by more than 1e-5 eV/Å, or stresses by
        more than 1e-6 eV/Å^3, beyond twice what rounding and tables make of the potential itself.
    """
    names = compiled_properties(potential)
    exact = potential.copy(dtype=torch.float64)
    together = probe_graph(exact)
    single = list(together.split())
    for graph in (together, single[0], single[12]):
        rounded = graph.to(dtype=potential.dtype)
        reference = by_potential(exact, graph, names)
        found = compiled(rounded, names)
        with by_formula():  # which compiled code is made of; written gradients round less
            plain = by_potential(potential, rounded, names)
        for name in names:
            tolerance = TOLERANCES.get(name, OTHER_TOLERANCE)
            if name == "energy":  # a sum over atoms
                tolerance = TOLERANCES["energies"] * graph.num_atoms
            error, usual = (_error(one[name], reference[name]) for one in (found, plain))
            if not error <= tolerance + 2.0 * usual:
                raise MiscompiledError(
                    f"compiled code is off by {error:.2g} in {name}, where {tolerance:.2g} is "
                    f"allowed, and the potential itself by {usual:.2g}: a fault of torch "
                    f"{torch.__version__}"
                )


def _error(found: Tensor, expected: Tensor) -> float:
    """The largest difference; NaN on both sides, the stress of a molecule, is none."""
    undefined = found.isnan() & expected.isnan()
    errors = (found - expected)[~undefined].abs()
    return float(errors.max()) if errors.numel() else 0.0


@contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    """A folder for all that the compiler writes, in place of one in the system's temporary folder.

    Others could write there before us, and what is found there is executed.
    """
    from torch._inductor.utils import fresh_cache

    with (
        tempfile.TemporaryDirectory(prefix=".build-", dir=parent) as folder,
        fresh_cache(dir=folder, delete=False),
    ):
        yield Path(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's compiler has to say to its own developers."""
    logger = logging.getLogger("torch._inductor")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
