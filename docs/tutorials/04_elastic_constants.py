"""
Elastic constants
=================

The elastic tensor of silicon from the stress of strained cells, with standard errors.
"""

# %%
from ase.build import bulk

from ase_geomformer.recipes import ElasticSettings, elastic

result = elastic(bulk("Si"), "so3krates-mlearn-si", ElasticSettings(), progress=False)
print(result.reason)
for name, value, unit in result.rows():
    print(f"{name:28} {value} {unit}")

# %%
# The tensor in Voigt order, GPa. Stress is positive under tension.
print(result.tensor_GPa.round(1) if hasattr(result, "tensor_GPa") else result)
