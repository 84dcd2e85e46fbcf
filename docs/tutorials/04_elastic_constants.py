"""
Elastic constants
=================

The elastic tensor of silicon from the stress of strained cells, with standard errors.
"""

# %%
from ase.build import bulk

from ase_geomformer.recipes import ElasticSettings, elastic

result = elastic(bulk("Si"), "so3krates-mlearn-si", ElasticSettings(), progress=False)
result

# %%
# The tensor in Voigt order, GPa. Stress is positive under tension.
import numpy as np

print(np.array2string(result.constants_GPa, precision=1, suppress_small=True))
