"""The hydroxyl group of ethanol turns: path, barrier and transition state.

python md_examples/ethanol_neb.py
"""

from argparse import ArgumentParser
from pathlib import Path

from ase.build import molecule

from ase_geomformer.recipes import NEBSettings, neb

parser = ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=9, help="images of the path, both ends included")
parser.add_argument("--output", default=Path(__file__).with_name("ethanol_neb_output"))
options = parser.parse_args()

trans = molecule("CH3CH2OH")
gauche = trans.copy()
gauche.set_dihedral(0, 1, 2, 3, 60.0, indices=[3])  # C, C, O, and the hydrogen of the hydroxyl
result = neb(
    [trans, gauche],
    "so3krates-rmd17-ethanol",
    NEBSettings(images=options.images),
    output=options.output,
    overwrite=True,
)
print(f"barrier {1000 * result.barrier_forward_eV:.1f} meV")
print(f"transition state: {result.saddle.is_transition_state}")
print(f"look at {result.output / 'neb.png'}, or: ase gui {result.output / 'images.traj'}")
