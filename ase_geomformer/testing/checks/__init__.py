"""The checks that :class:`~ase_geomformer.testing.ArchitectureSuite` consists of."""

from __future__ import annotations

import pytest

# A failing assertion then shows its values, as in a test file.
for _module in ("contract", "derivatives", "graphs", "smoothness", "symmetry"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")
