"""NequIP's preset S as nequip-compile makes it for ASE by AOTInductor; environment nequip_s.

The compiled model is kept in the environment, and made on first use: the time of that is in the
file beside it.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from _worker import by_calculator, serve
from nequip.ase import NequIPCalculator

FILE = Path(sys.prefix) / "nequip_s.nequip.pt2"


def compile_model():
    """What scripts/compile.py of NequIP does with ``--mode aotinductor --target ase``."""
    from _nequip import make_calculator, make_model
    from ase.build import bulk
    from nequip.scripts._compile_utils import AOTI_ASE_TARGET, COMPILE_TARGET_DICT
    from nequip.utils.aot import aot_export_model
    from nequip.utils.aoti_metadata import (
        NEQUIP_AOTI_INPUTS_KEY,
        NEQUIP_AOTI_OUTPUTS_KEY,
        serialize_aoti_keys,
    )
    from nequip.utils.global_state import get_latest_global_state

    start, model = time.process_time(), make_model()
    target = COMPILE_TARGET_DICT[AOTI_ASE_TARGET]
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=0)
    data = target["data_settings"](make_calculator(model).atoms_to_data(atoms))
    dims = {
        name: torch.export.Dim(f"num_{text}", min=2, max=2**31 - 1)
        for name, text in {"graph": "frames", "node": "nodes", "edge": "edges"}.items()
    }
    found = {**model.metadata, **get_latest_global_state(only_metadata_related=True)}
    metadata = {key: str(int(v)) if isinstance(v, bool) else str(v) for key, v in found.items()}
    metadata[NEQUIP_AOTI_INPUTS_KEY] = serialize_aoti_keys(target["input"])
    metadata[NEQUIP_AOTI_OUTPUTS_KEY] = serialize_aoti_keys(target["output"])
    aot_export_model(
        model=model,
        device="cpu",
        input_fields=target["input"],
        output_fields=target["output"],
        data=data,
        batch_map=target["batch_map_settings"](dims),
        output_path=str(FILE),
        inductor_configs={"aot_inductor.metadata": metadata},
    )
    taken = {"build_cpu_s": time.process_time() - start}
    FILE.with_suffix(".json").write_text(json.dumps(taken))


torch.set_num_threads(int(sys.argv[1]))
if not FILE.exists():
    compile_model()
calculator = NequIPCalculator.from_compiled_model(FILE, device="cpu")
serve(version("nequip"), by_calculator(calculator))
