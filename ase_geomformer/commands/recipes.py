"""The verbs that run a recipe: one row of a table each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from ase import Atoms
    from jsonargparse import ArgumentParser, Namespace

# What a recipe is called with beside potential and settings: its structures, and keywords.
Subject = tuple[Any, dict[str, Any]]


def _each(options: Namespace) -> Subject:
    """One structure, or several for a series of runs."""
    return common.structures(options), {}


def _many(options: Namespace) -> Subject:
    return options.structure, {"index": str(options.index)}


def _path(options: Namespace) -> Subject:
    """The ends of a path, or all its images."""
    images = common.structures(options)
    if options.final is None:
        return images, {}
    if len(images) > 1:
        raise ValueError(
            f"{options.structure!r} holds {len(images)} structures; with --final, choose the "
            "initial one by --index, such as --index 0"
        )
    final = options.clone()
    final.structure, final.index = options.final, "-1"
    ends: list[Atoms] = [*images, *common.structures(final)]
    return ends, {}


def _towards(options: Namespace) -> Subject:
    """Structures and, where it is given, the one in whose direction to move."""
    if options.towards is None:
        return _each(options)
    other = options.clone()
    other.structure, other.index = options.towards, "-1"
    return common.structures(options), {"towards": common.single_structure(other, "saddle")}


def _add_towards(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--towards",
        type=str | None,
        default=None,
        metavar="FILE",
        help="File of a structure, such as a rough product; the search starts between both.",
    )


def _on_slab(options: Namespace) -> Subject:
    """Slabs, and what is put on them."""
    return common.structures(options), {"adsorbate": options.adsorbate}


def _add_adsorbate(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--adsorbate",
        type=str,
        required=True,
        metavar="NAME",
        help="File of the adsorbate, an element, or a molecule that ASE knows, such as CO.",
    )


def _add_final(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--final",
        type=str | None,
        default=None,
        metavar="FILE",
        help="File of the final structure.",
    )


@dataclass(eq=False)
class RecipeVerb:
    """A verb that runs a recipe; it stands where other verbs have a module.

    Attributes
    ----------
    recipe, settings : str
        Names in :mod:`ase_geomformer.recipes`.
    DESCRIPTION, USAGE : str
        For the help.
    index : str
        Default choice of frames.
    resumes : bool
        Whether the recipe can resume a run.
    subject : callable
        What the options give the recipe to work on.
    takes_one : bool
        Whether the recipe is of one structure, so that several are a series of runs.
    add_more : callable
        Declares further options.
    spreads : bool
        Whether a cluster can share the work.
    """

    recipe: str
    settings: str
    DESCRIPTION: str
    USAGE: str = "--potential NAME --structure FILE --output DIR [OPTION ...]"
    index: str = "-1"
    resumes: bool = True
    subject: Callable[[Namespace], Subject] = _each
    takes_one: bool = True
    add_more: Callable[[ArgumentParser], None] = lambda parser: None
    spreads: bool = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options: those of all recipes, and the settings."""
        from ase_geomformer import recipes

        arguments.add_input(parser, index=self.index, dtype="float64")
        arguments.add_output(parser, required=True, resume=self.resumes)
        arguments.add_database(parser)
        self.add_more(parser)
        if self.spreads:
            arguments.add_cluster(parser)
        parser.add_class_arguments(getattr(recipes, self.settings), as_group=True)

    def run(self, options: Namespace) -> int:
        """Run the recipe; the exit code is 1 if it did not converge."""
        from ase_geomformer import recipes
        from ase_geomformer.evaluate import as_evaluator

        common.check_output(options)
        settings = common.settings_of(options, getattr(recipes, self.settings))
        subject, keywords = self.subject(options)
        recipe = getattr(recipes, self.recipe)
        with common.on_workers(as_evaluator(common.calculator(options)), options) as evaluator:
            if self.takes_one and len(subject) > 1:
                _, names = common.named_structures(options)
                from ase_geomformer.commands.series import run_series

                result = run_series(
                    options, settings, evaluator, subject, names, partial(recipe, **keywords)
                )
            else:
                result = recipe(
                    subject[0] if self.takes_one else subject,
                    evaluator,
                    settings,
                    output=options.output,
                    resume=options.get("resume", False),
                    overwrite=options.overwrite,
                    progress=options.progress,
                    inputs=common.inputs(options),
                    compile_if_long=True,
                    **keywords,
                )
            common.to_database(options, self.recipe, result.entries, evaluator.calculator)
        return common.exit_code(options, result)


_RELAX = RecipeVerb(
    "relax",
    "RelaxSettings",
    "Relaxation of a structure, and of its cell with --cell, to the nearest minimum; constraints "
    "in FILE are honoured. Writes trajectory.traj, final.extxyz, final.traj, relax.png, "
    "settings.yaml and result.json. The exit code is 1 if forces or stress have not converged.",
)
RECIPES = {
    "relax": _RELAX,
    "geomopt": _RELAX,
    "relax-many": RecipeVerb(
        "relax_many",
        "RelaxManySettings",
        "Relaxation of all structures in a file, a database or a folder of files, many in one "
        "evaluation. Writes finished.jsonl as they are done, from which --resume continues, and "
        "at the end relaxed.extxyz, relax_many.png, settings.yaml and result.json. The exit code "
        "is 1 when any of them did not converge.",
        USAGE="--potential NAME --structure FILE|DIR --output DIR [OPTION ...]",
        index=":",
        subject=_many,
        takes_one=False,
        spreads=True,
    ),
    "eos": RecipeVerb(
        "eos",
        "EOSSettings",
        "Energies of a crystal at several volumes, its atoms relaxed, and an equation of state "
        "fitted to them: volume, bulk modulus and its derivative with standard errors. Writes "
        "scan.traj, final.extxyz, final.traj, eos.png, settings.yaml and result.json.",
        resumes=False,
    ),
    "elastic": RecipeVerb(
        "elastic",
        "ElasticSettings",
        "Elastic constants of a crystal from the stress of strained cells, their atoms relaxed; "
        "moduli of the polycrystal, mechanical stability and anisotropy. Writes strains.npz, "
        "final.extxyz, final.traj, elastic.png, settings.yaml and result.json.",
        resumes=False,
    ),
    "surface": RecipeVerb(
        "surface",
        "SurfaceSettings",
        "Surface energies of a crystal along a plane of Miller indices: all places to part it are "
        "enumerated, and the energies of slabs of several thicknesses are fitted. Writes "
        "slabs.traj, final.extxyz, final.traj, surface.png, settings.yaml and result.json; "
        "--resume continues with the slabs that are not finished. The exit code is 1 if a "
        "relaxation did not converge.",
    ),
    "vacancy": RecipeVerb(
        "vacancy",
        "VacancySettings",
        "Formation energies of the vacancies of a crystal, one for each kind of site, in "
        "supercells of several sizes; of a compound the Schottky energy, and with "
        "--chemical_potentials those of each element. Writes vacancies.traj, final.extxyz, "
        "final.traj, vacancy.png, settings.yaml and result.json; --resume continues with the "
        "supercells that are not finished. The exit code is 1 if a relaxation did not converge.",
    ),
    "cohesive": RecipeVerb(
        "cohesive",
        "CohesiveSettings",
        "Energies that it takes to pull structures apart into isolated atoms. A trained potential "
        "is refused unless --atom_energies gives the energies of isolated atoms, or --extrapolate "
        "accepts what it makes of them. Writes relaxed.extxyz, cohesive.png, settings.yaml and "
        "result.json; --resume continues with the structures that are not finished. The exit code "
        "is 1 if a relaxation did not converge.",
        index=":",
        subject=_many,
        takes_one=False,
    ),
    "adsorption": RecipeVerb(
        "adsorption",
        "AdsorptionSettings",
        "Adsorption energies of a molecule or atom on all sites of a slab that its symmetry tells "
        "apart. Writes adsorbed.traj, final.extxyz, final.traj, adsorption.png, settings.yaml and "
        "result.json; --resume continues with the structures that are not finished. The exit code "
        "is 1 if a relaxation did not converge.",
        USAGE="--potential NAME --structure FILE --adsorbate NAME --output DIR [OPTION ...]",
        subject=_on_slab,
        add_more=_add_adsorbate,
    ),
    "neb": RecipeVerb(
        "neb",
        "NEBSettings",
        "The minimum-energy path between two minima by a nudged elastic band, its barrier, and "
        "its saddle point. FILE holds the initial structure, with --final that of the final one; "
        "without --final, FILE holds the whole path. Writes images.traj, saddle.extxyz, neb.npz, "
        "neb.png, settings.yaml and result.json; --resume continues from the last images. The "
        "exit code is 1 when no converged path to a saddle point with one imaginary mode was "
        "found.",
        USAGE="--potential NAME --structure FILE --final FILE --output DIR [OPTION ...]",
        index=":",
        subject=_path,
        takes_one=False,
        add_more=_add_final,
    ),
    "saddle": RecipeVerb(
        "saddle",
        "SaddleSettings",
        "The transition state near one structure, a minimum or a guess, by following a vibration, "
        "or the path to another structure (--towards), uphill. Writes search.traj, "
        "search.npz, final.extxyz, final.traj, saddle.npz, saddle.png, settings.yaml and "
        "result.json; --resume continues from the last step. The exit code is 1 when no saddle "
        "point with one imaginary mode was found.",
        USAGE="--potential NAME --structure FILE [--towards FILE] --output DIR [OPTION ...]",
        subject=_towards,
        add_more=_add_towards,
    ),
    "irc": RecipeVerb(
        "irc",
        "IRCSettings",
        "The reaction coordinate from a saddle point, as saddle or neb writes it, down to the "
        "minima on both sides, and the barriers. Writes path.traj, points.npz, saddle.extxyz, "
        "ends.extxyz, irc.npz, irc.png, settings.yaml and result.json; --resume continues from "
        "the last points. The exit code is 1 when a side did not come down to a minimum.",
    ),
    "vibrations": RecipeVerb(
        "vibrations",
        "VibrationsSettings",
        "Vibrations of a relaxed molecule, adsorbate or crystal in the harmonic approximation, "
        "its infrared intensities where the potential gives a dipole, and its thermochemistry. "
        "Writes vibrations.npz, vibrations.png, infrared.png, an animation of each mode, "
        "final.extxyz, final.traj, settings.yaml and result.json. The exit code is 1 if the number "
        "of imaginary modes is not as expected.",
        resumes=False,
    ),
    "phonons": RecipeVerb(
        "phonons",
        "PhononSettings",
        "Vibrations of a crystal. Relaxes it, evaluates displaced supercells in batches, and "
        "writes bands, densities of states and thermodynamics: phonopy.yaml, FORCE_SETS, "
        "FORCE_CONSTANTS, band.yaml, total_dos.dat, thermal_properties.yaml, phonons.npz, "
        "bands.png, thermal.png, final.extxyz, settings.yaml and result.json. --resume continues "
        "at the first displacement whose forces are missing, also with other settings of the "
        "analysis. The exit code is 1 if the relaxation did not converge or a mode is imaginary.",
        spreads=True,
    ),
    "qha": RecipeVerb(
        "qha",
        "QHASettings",
        "Quasi-harmonic approximation: thermal expansion, heat capacity at constant pressure, "
        "bulk modulus against temperature, and Grüneisen parameters, from phonons at several "
        "volumes. Writes e-v.dat, phonopy-N.yaml, qha.npz, qha.png, gruneisen.png, settings.yaml "
        "and result.json. --resume continues at the first displacement whose forces are missing.",
        spreads=True,
    ),
    "conductivity": RecipeVerb(
        "thermal_conductivity",
        "ConductivitySettings",
        "Lattice thermal conductivity from third-order force constants (extra thermal). Writes "
        "phono3py_params.yaml, fc2.hdf5, fc3.hdf5, conductivity.npz, conductivity.png, "
        "settings.yaml and result.json. --resume continues at the first displacement whose forces "
        "are missing, also with another mesh, method or other temperatures.",
        spreads=True,
    ),
}
