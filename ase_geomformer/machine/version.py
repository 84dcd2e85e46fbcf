"""The version of this package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def package_version() -> str:
    """The version that is installed."""
    try:
        return installed_version("ase-geomformer")
    except PackageNotFoundError:  # a checkout on the path, never installed
        return "0+unknown"
