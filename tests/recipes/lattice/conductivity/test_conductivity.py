"""Third-order force constants and thermal conductivity, against phono3py run by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

pytest.importorskip("phono3py")

import phono3py
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

from ase_geomformer.recipes.lattice.conductivity.run import thermal_conductivity
from ase_geomformer.recipes.lattice.conductivity.settings import ConductivitySettings
from ase_geomformer.recipes.lattice.stability import ImaginaryModesError

# With an even number of repeats each atom is an inversion centre of the supercell, images included,
# and the third-order force constants vanish.
SMALL = {
    "supercell": [3, 3, 3], "phonon_supercell": [3, 3, 3], "mesh": [4, 4, 4],
    "temperature_min_K": 20.0, "temperature_max_K": 80.0, "temperature_step_K": 20.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def lj() -> LennardJones:
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)


@pytest.mark.parametrize("method", ["rta", "lbte"])
def test_conductivity_is_that_of_phono3py_by_hand(method: str, lj: LennardJones) -> None:
    crystal = bulk("Ar", "fcc", a=5.24)
    settings = ConductivitySettings(relax=False, isotopes=False, method=method, **SMALL)
    found = thermal_conductivity(crystal, lj, settings, progress=False)
    by_hand = Phono3py(
        PhonopyAtoms(symbols=["Ar"], cell=crystal.cell.array, scaled_positions=[[0, 0, 0]]),
        np.diag([3, 3, 3]),
        primitive_matrix="P",
        phonon_supercell_matrix=np.diag([3, 3, 3]),
    )
    by_hand.generate_displacements(distance=0.03)
    by_hand.generate_fc2_displacements(distance=0.03)

    def forces(cells: list[PhonopyAtoms]) -> list[np.ndarray]:
        atoms = [Atoms(c.symbols, cell=c.cell, positions=c.positions, pbc=True) for c in cells]
        return [lj.get_property("forces", one) for one in atoms]

    by_hand.forces = forces(by_hand.supercells_with_displacements)
    by_hand.phonon_forces = forces(by_hand.phonon_supercells_with_displacements)
    by_hand.produce_fc3()
    by_hand.produce_fc2()
    by_hand.symmetrize_fc3()
    by_hand.symmetrize_fc2()
    by_hand.mesh_numbers = [4, 4, 4]
    by_hand.init_phph_interaction(average_degenerate_weights=True)
    temperatures = [20.0, 40.0, 60.0, 80.0]
    by_hand.run_thermal_conductivity(is_LBTE=method == "lbte", temperatures=temperatures)
    expected = by_hand.thermal_conductivity.kappa[0]
    np.testing.assert_allclose(found.conductivity_W_per_mK, expected, rtol=1e-6, atol=1e-9)
    along = found.conductivity_W_per_mK[:, :3]
    assert ((along > 0.01) & (along < 100.0)).all()
    # A cubic crystal conducts alike in all directions, and worse when it is hot.
    np.testing.assert_allclose(along, along[:, :1] * np.ones(3), rtol=1e-4)
    assert (np.diff(along[:, 0]) < 0).all()
    transport = found.transport
    assert transport.weights.sum() == 64
    total = transport.mode_conductivity_W_per_mK.sum(axis=(1, 2)) / 64
    np.testing.assert_allclose(total, expected, rtol=1e-3, atol=1e-6)
    assert found.converged, found.reason


def test_files_and_another_method_from_the_same_forces(lj: LennardJones, tmp_path: Path) -> None:
    crystal = bulk("Ar", "fcc", a=5.24)
    settings = ConductivitySettings(**SMALL)
    first = thermal_conductivity(crystal, lj, settings, output=tmp_path, progress=False)
    before = (tmp_path / "pairs.forces").stat().st_mtime_ns
    warmer = ConductivitySettings(**SMALL | {"temperature_max_K": 100.0})
    again = thermal_conductivity(crystal, lj, warmer, output=tmp_path, resume=True, progress=False)
    assert (tmp_path / "pairs.forces").stat().st_mtime_ns == before
    assert len(again.temperatures_K) == len(first.temperatures_K) + 1
    np.testing.assert_allclose(
        again.conductivity_W_per_mK[:-1], first.conductivity_W_per_mK, rtol=1e-10
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["conductivity_W_per_mK"][0][0] == pytest.approx(again.conductivity_W_per_mK[0, 0])
    names = ("phono3py_params.yaml", "fc2.hdf5", "fc3.hdf5", "conductivity.npz")
    for name in (*names, "conductivity.png"):
        assert (tmp_path / name).stat().st_size > 0
    # Rounding chooses other eigenvectors of degenerate modes in another process; the lifetimes of
    # modes that decay into them must not depend on it.
    loaded = phono3py.load(
        tmp_path / "phono3py_params.yaml",
        fc2_filename=tmp_path / "fc2.hdf5",
        fc3_filename=tmp_path / "fc3.hdf5",
        log_level=0,
    )
    loaded.mesh_numbers = SMALL["mesh"]
    loaded.init_phph_interaction(average_degenerate_weights=True)
    loaded.run_thermal_conductivity(temperatures=again.temperatures_K, is_isotope=True)
    expected = loaded.thermal_conductivity.kappa[0]
    np.testing.assert_allclose(again.conductivity_W_per_mK, expected, rtol=1e-8, atol=1e-9)


def test_pairs_beyond_the_cutoff_are_left_out(lj: LennardJones) -> None:
    crystal = bulk("Ar", "fcc", a=5.24)
    whole = thermal_conductivity(crystal, lj, ConductivitySettings(**SMALL), progress=False)
    near = ConductivitySettings(pair_cutoff_A=4.0, **SMALL)
    found = thermal_conductivity(crystal, lj, near, progress=False)
    assert found.structures_evaluated < whole.structures_evaluated
    # Nearest neighbours carry nearly all of the anharmonicity of this crystal.
    np.testing.assert_allclose(
        found.conductivity_W_per_mK[:, 0], whole.conductivity_W_per_mK[:, 0], rtol=0.3
    )


def test_imaginary_modes_stop_the_run(lj: LennardJones) -> None:
    unstable = bulk("Ar", "sc", a=3.7)
    settings = ConductivitySettings(imaginary="error", cell="hydrostatic", **SMALL)
    with pytest.raises(ImaginaryModesError, match="imaginary modes down to"):
        thermal_conductivity(unstable, lj, settings, progress=False)


# Every structure is a chunk, and takes long enough to be killed in. A class of this script's own
# would be another potential: forces are kept with the package that the calculator comes from.
RUN = """
import sys, time
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase_geomformer.recipes.lattice.conductivity.run import thermal_conductivity
from ase_geomformer.recipes.lattice.conductivity.settings import ConductivitySettings

calculate = LennardJones.calculate

def slowly(*arguments, **options):
    calculate(*arguments, **options)
    time.sleep(0.3)

LennardJones.calculate = slowly
settings = ConductivitySettings(atoms_per_chunk=27, **eval(sys.argv[2]))
calculator = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)
crystal = bulk("Ar", "fcc", a=5.24)
thermal_conductivity(crystal, calculator, settings, output=sys.argv[1], progress=False)
"""


def test_a_killed_run_ends_as_if_it_had_lived(lj: LennardJones, tmp_path: Path) -> None:
    killed, pairs = tmp_path / "killed", tmp_path / "killed" / "pairs.forces"
    command = [sys.executable, "-c", RUN, str(killed), repr(SMALL)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    record = 27 * 3 * 8
    deadline = time.monotonic() + 600.0  # a busy machine takes minutes to import
    while not pairs.is_file() or pairs.stat().st_size < 3 * record:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = pairs.stat().st_size // record
    before = pairs.read_bytes()[: done * record]
    crystal, settings = bulk("Ar", "fcc", a=5.24), ConductivitySettings(atoms_per_chunk=27, **SMALL)
    whole = thermal_conductivity(crystal, lj, settings, output=tmp_path / "whole", progress=False)
    found = thermal_conductivity(crystal, lj, settings, output=killed, resume=True, progress=False)
    # What was there has been kept, and there was something left to do.
    assert pairs.read_bytes().startswith(before)
    assert done < pairs.stat().st_size // record
    assert found.structures_evaluated == whole.structures_evaluated
    # ASE's neighbour list remembers, so that sums differ in their last bits.
    np.testing.assert_allclose(
        found.conductivity_W_per_mK, whole.conductivity_W_per_mK, rtol=1e-9, atol=1e-12
    )
    assert not list(killed.glob(".*"))
