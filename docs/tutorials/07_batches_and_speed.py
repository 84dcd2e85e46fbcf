"""
Batches and speed
=================

Many structures in one evaluation, and where the time goes.
"""

# %%
# ``evaluate_many`` joins structures into batches that fit into memory.
import time

from ase.build import bulk

from ase_geomformer import PotentialCalculator, evaluate_many

structures = []
for seed in range(40):
    crystal = bulk("Si", cubic=True)
    crystal.rattle(0.05, seed=seed)
    structures.append(crystal)

calculator = PotentialCalculator("so3krates-mlearn-si")
evaluate_many(structures[:2], calculator)  # the first call prepares tables

# %%
# One by one, and together:
start = time.process_time()
for atoms in structures:
    atoms.calc = calculator
    atoms.get_forces()
alone = time.process_time() - start

start = time.process_time()
results = evaluate_many(structures, calculator)
together = time.process_time() - start
print(f"one by one {1e3 * alone / 40:.1f} ms, in batches {1e3 * together / 40:.1f} ms for each")

# %%
# The results are the same to rounding:
difference = max(
    abs(found["forces"] - atoms.get_forces()).max()
    for found, atoms in zip(results, structures, strict=True)
)
print(f"{difference:.1e} eV/Å")

# %%
# For long runs of dynamics, ``ase-geomformer models compile so3krates-mlearn-si`` compiles the
# potential once for this machine; every process uses it from then on.
