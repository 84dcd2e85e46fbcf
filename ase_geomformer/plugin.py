"""What ASE finds behind our ``ase.plugins`` entry point (ASE 3.29 and later).

ASE loads this module while it is still importing its own plug-in package and then asks for
``__ase_plugins__``. The attribute is made when asked for, so that importing this module first
(a documentation builder does) does not run into that half-made package.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "__ase_plugins__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from ase._4.plugins.plugin import CalculatorPlugin
    except ImportError as error:
        # ASE calls its plug-in package provisional. Should it move, ASE skips a module without
        # the attribute, while an ImportError would break every other plug-in of the user.
        raise AttributeError(f"this ASE has no CalculatorPlugin: {error}") from error
    return {
        CalculatorPlugin(
            name="geomformer",
            citation="The ase-geomformer developers; see also the card of the potential used",
            implementation="ase_geomformer.calculator.PotentialCalculator",
        )
    }
