"""What is read from a structure, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from ase_geomformer.graph.structure import geometry, info_number

pytestmark = pytest.mark.quick


def test_geometry_copies(ethanol: Atoms) -> None:
    before = ethanol.get_positions()
    positions, cell, _ = geometry(ethanol)
    positions += 1.0
    cell += 1.0
    np.testing.assert_array_equal(ethanol.positions, before)
    assert not ethanol.cell.array.any()


def test_geometry_goes_to_a_device_but_for_the_boundaries(silicon: Atoms) -> None:
    host = geometry(silicon)
    assert host.to("cpu") is host
    there = geometry(silicon, "meta")
    assert [tuple(tensor.shape) for tensor in there] == [(8, 3), (3, 3), (3,)]
    assert [tensor.device.type for tensor in there] == ["meta", "meta", "cpu"]
    assert there.pbc.all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_that_are_not_finite(value: float, ethanol: Atoms) -> None:
    ethanol.positions[[2, 5], 1] = value
    with pytest.raises(ValueError, match=r"2 of 9 atoms have a NaN or infinite position .*2, 5"):
        geometry(ethanol)


def test_cells_that_are_not_finite(silicon: Atoms) -> None:
    silicon.cell[0, 1] = np.nan
    with pytest.raises(ValueError, match="cell has a NaN"):
        geometry(silicon)


@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.float32(2), np.array(2), np.array([2])])
def test_info_numbers(value: object, ethanol: Atoms) -> None:
    ethanol.info["charge"] = value
    found = info_number(ethanol, "charge", 0.0)
    assert found == 2.0
    assert type(found) is float


@pytest.mark.parametrize("value", ["1", None, [1, 2], np.nan, {"a": 1}, 1j])
def test_info_that_is_no_number(value: object, ethanol: Atoms) -> None:
    ethanol.info["charge"] = value
    with pytest.raises(ValueError, match=r"atoms.info\['charge'\] must be one finite number"):
        info_number(ethanol, "charge", 0.0)
