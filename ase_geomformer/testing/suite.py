"""What every architecture must pass.

A new architecture subclasses :class:`ArchitectureSuite` in its test file, gives its registered
name and a few small settings, and is tested::

    class TestSo3krates(ArchitectureSuite):
        name = "so3krates"
        variants = {"plain": {"num_features": 16, ...}, "everything": {...}}

Each check says the physics it is about. Weights are random, seeded, and all of them away from
their initial values, since zeros at the start could hide a fault.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from ase_geomformer.architectures import build
from ase_geomformer.potential import Potential
from ase_geomformer.testing.checks.contract import ContractChecks
from ase_geomformer.testing.checks.derivatives import DerivativeChecks
from ase_geomformer.testing.checks.graphs import GraphChecks
from ase_geomformer.testing.checks.smoothness import SmoothnessChecks
from ase_geomformer.testing.checks.symmetry import SymmetryChecks
from ase_geomformer.testing.exemptions import Exemption
from ase_geomformer.testing.limits import Limits
from ase_geomformer.testing.structures import SYMBOLS


def random_potential(name: str, settings: dict[str, Any]) -> Potential:
    """A potential in float64 with seeded weights, every one of them off its initial value."""
    torch.manual_seed(0)
    architecture = build(name, settings)
    with torch.no_grad():
        for parameter in architecture.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Potential(architecture, SYMBOLS).requires_grad_(False).eval()


class ArchitectureSuite(
    SymmetryChecks, SmoothnessChecks, DerivativeChecks, GraphChecks, ContractChecks
):
    """The checks of an architecture; see the module.

    Attributes
    ----------
    name
        As registered.
    variants
        Settings to test, by a label; small ones, as every check runs on each of them.
    idle_parameters
        Names of parameters on which the energy does not depend by construction.
    limits
        Where the architecture promises other figures than most.
    exemptions
        Checks that these variants fail by their published design.
    """

    name: ClassVar[str]
    variants: ClassVar[dict[str, dict[str, Any]]]
    idle_parameters: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[Limits] = Limits()
    exemptions: ClassVar[tuple[Exemption, ...]] = ()

    def __init_subclass__(cls) -> None:
        for exemption in cls.exemptions:
            assert hasattr(cls, f"test_{exemption.check}"), f"no check {exemption.check!r}"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "settings" in metafunc.fixturenames:
            labels = list(self.variants)
            metafunc.parametrize("settings", [self.variants[label] for label in labels], ids=labels)

    @pytest.fixture(autouse=True)
    def exempt(self, request: pytest.FixtureRequest) -> None:
        """Expect the failure of a check that is exempted, and only that."""
        arguments = getattr(getattr(request.node, "callspec", None), "params", {})
        for exemption in self.exemptions:
            if exemption.covers(request.node.originalname, arguments):
                request.node.add_marker(
                    pytest.mark.xfail(
                        reason=exemption.reason,
                        raises=AssertionError,
                        strict=not exemption.rounding,
                    )
                )

    @pytest.fixture
    def potential(self, settings: dict[str, Any]) -> Potential:
        return random_potential(self.name, settings)
