"""``ase-geomformer analyze``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common
from ase_geomformer.md.analysis.settings import AnalysisSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--structure RUN|FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Structure, diffusion, vibrations and transport from a trajectory, which is that of the folder "
    "of a run, or a file: radial distributions with coordination, bond lengths and angles, "
    "diffusion with its error, densities of states; of a run also heat capacity, compressibility "
    "and expansion, and the viscosity if log_stress was on; with --charges the ionic "
    "conductivity (extra transport). Writes analysis.npz, rdf.png, bonds.png, msd.png, "
    "vibrations.png, viscosity.png, conductivity.png, settings.yaml and result.json."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Input")
    group.add_argument(
        "--structure", type=str, required=True, metavar="RUN",
        help="Folder of a run, or file of a trajectory in any format that ASE reads, or H5MD.",
    )  # fmt: skip
    arguments.add_output(parser, required=True)
    parser.add_class_arguments(AnalysisSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.md.analysis import analyze

    analyze(
        options.structure,
        common.settings_of(options, AnalysisSettings),
        output=options.output,
        overwrite=options.overwrite,
        progress=options.progress,
        inputs=common.inputs(options),
    )
    return 0
