"""Many structures relaxed by the workers of a cluster: here processes of this machine.

pip install 'ase-geomformer[dask]'
python md_examples/relax_on_workers.py --structures 200 --cluster local

With --cluster dask://HOST:8786 the workers of that scheduler do it. A run that was stopped resumes
when it is started again.
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from ase.build import bulk

from ase_geomformer.cluster import on_cluster
from ase_geomformer.recipes import RelaxManySettings, relax_many


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="est-mgo")
    parser.add_argument("--structures", type=int, default=50)
    parser.add_argument("--cluster", default="local", help="local, local:N or dask://HOST:PORT")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("relax_on_workers_output")
    )
    options = parser.parse_args()
    candidates = []
    for seed in range(options.structures):
        atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True)
        atoms.rattle(0.1, seed=seed)
        candidates.append(atoms)
    settings = RelaxManySettings(fmax=0.02, cell="full")
    with on_cluster(options.potential, options.cluster) as workers:
        found = relax_many(candidates, workers, settings, output=options.output, resume=True)
    energies = np.array([result.energy for result in found.results])
    done = sum(result.converged for result in found.results)
    print(f"{done} of {len(candidates)} relaxed; energies differ by {np.ptp(energies):.2e} eV")


# The workers are processes that import this file.
if __name__ == "__main__":
    main()
