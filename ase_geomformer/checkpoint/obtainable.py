"""Potentials that are published elsewhere and can be had by name, as data: a row for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Obtainable:
    """A potential, the package that carries it, and how both are recognised.

    Attributes
    ----------
    name
        Of the potential, here and on its card.
    summary, licence
        What it is, in a line, and whose.
    distribution, version
        The package in Python's package index.
    wheel_bytes, wheel_sha256
        Size and checksum of its wheel.
    file, file_sha256
        Path of the checkpoint in the wheel, and its checksum.
    converter
        Which of :data:`ase_geomformer.convert.get.CONVERTERS` reads it.
    golden
        File in ``convert/data`` with structures and what the original code gives for them.
    """

    name: str
    summary: str
    licence: str
    distribution: str
    version: str
    wheel_bytes: int
    wheel_sha256: str
    file: str
    file_sha256: str
    converter: str
    golden: str

    @property
    def page(self) -> str:
        """Where a browser finds the wheel."""
        return f"https://pypi.org/project/{self.distribution}/{self.version}/#files"


_ROWS = (
    Obtainable(
        name="so3lr",
        summary="SO3LR: molecules, liquids and biomolecules of H C N O F P S Cl, PBE0+MBD",
        licence="MIT",
        distribution="so3krates-torch",
        version="0.2.1",
        wheel_bytes=2_977_241,
        wheel_sha256="1e3aea516997290462a280a64486ce022472dbe1edbdab81f8446587a61899d2",
        file="so3krates_torch/pretrained/so3lr/so3lr.model",
        file_sha256="b5145564911ff983ed076ccb2bca5ce63454b74c9c8291092695463f1e6732be",
        converter="so3lr",
        golden="so3lr_golden.json",
    ),
)
OBTAINABLE = {row.name: row for row in _ROWS}
