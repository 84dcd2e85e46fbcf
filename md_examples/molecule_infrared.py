"""A molecule from SMILES: relaxed, its vibrations, and its infrared spectrum, also from dynamics.

python md_examples/molecule_infrared.py --smiles "CC(=O)Nc1ccc(O)cc1"

Without RDKit, or with --structure, the molecule is read from a file (paracetamol by default).
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

from ase_geomformer import evaluate_many
from ase_geomformer.infrared import broadened
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import dipole_spectrum
from ase_geomformer.recipes import RelaxSettings, VibrationsSettings, relax, vibrations
from ase_geomformer.runs.style import new_figure

HERE = Path(__file__).parent
STRUCTURES = HERE.parent / "examples" / "structures"
parser = ArgumentParser(description=__doc__)
parser.add_argument("--smiles", default=None, help="the molecule; needs RDKit")
parser.add_argument("--structure", default=STRUCTURES / "paracetamol.xyz", help="or a file of it")
parser.add_argument("--potential", default="so3lr")
parser.add_argument("--fmax", type=float, default=1e-3, help="largest force, eV/Å")
parser.add_argument("--steps", type=int, default=20000, help="time steps of 0.5 fs")
parser.add_argument("--output", type=Path, default=HERE / "molecule_infrared_output")
options = parser.parse_args()


def from_smiles(smiles: str) -> Atoms:
    """A first structure, by RDKit."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    found = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(found, randomSeed=1)
    symbols = [atom.GetSymbol() for atom in found.GetAtoms()]
    charge = Chem.GetFormalCharge(found)
    return Atoms(symbols, found.GetConformer().GetPositions(), info={"charge": charge})


molecule = from_smiles(options.smiles) if options.smiles else read(options.structure)
relaxed = relax(
    molecule,
    options.potential,
    RelaxSettings(fmax=0.5 * options.fmax, steps=1000),
    output=options.output / "relax",
    overwrite=True,
)
# The table of modes is printed; infrared.png, and modes/ for ase gui, are in the folder.
modes = vibrations(
    relaxed.atoms,
    options.potential,
    VibrationsSettings(fmax=options.fmax),
    output=options.output / "vibrations",
    overwrite=True,
)

# Dynamics: weak friction, so that bands stay narrow. A frame every 2 fs sees all vibrations.
dynamics = MDSettings(
    ensemble="nvt-langevin",
    temperature_K=300.0,
    friction_per_fs=2e-3,
    timestep_fs=0.5,
    steps=options.steps,
    trajectory_interval=4,
    seed=1,
)
run = run_md(
    relaxed.atoms, options.potential, dynamics, output=options.output / "md", overwrite=True
)
frames = read(run.output / "trajectory.traj", index=":")
frames = frames[len(frames) // 4 :]  # the first quarter is for equilibration
dipoles = [one["dipole"] for one in evaluate_many(frames, options.potential, ["dipole"])]
spectrum = dipole_spectrum(
    np.array(dipoles), 2.0, 300.0, max_time_fs=min(2000.0, 0.5 * len(frames))
)

figure = new_figure(7.0, 3.6)
axes = figure.subplots()
grid = np.arange(0.0, 4000.0, 1.0)
strengths = modes.infrared.intensities_km_per_mol
axes.plot(grid, broadened(grid, modes.frequencies_per_cm, strengths), label="harmonic")
axes.plot(spectrum.wavenumber, spectrum.absorption, lw=1, alpha=0.8, label="dynamics at 300 K")
axes.set(xlim=(0, 4000), xlabel="wavenumber (cm$^{-1}$)")
axes.set_ylim(bottom=0.0)
axes.set_ylabel("molar absorption (L mol$^{-1}$ cm$^{-1}$)")
axes.legend(frameon=False)
figure.savefig(options.output / "infrared.png", dpi=160)
print(f"all bands: {strengths.sum():.0f} km/mol harmonic, ", end="")
print(f"{spectrum.intensity_km_per_mol(0.0, 4000.0):.0f} km/mol in dynamics")
print(f"look at {options.output / 'infrared.png'}")
