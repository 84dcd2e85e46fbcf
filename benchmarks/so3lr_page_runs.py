"""Sections of docs/so3lr.md on liquid water and on the time that steps take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase_geomformer.accuracy.readme.markdown import table

Part = Mapping[str, Any]
NAMES = {"molecules": "molecule", "liquid": "water"}


def water(part: Part) -> str:
    density, temperature = part["density_g_per_cm3"], part["temperature_K"]
    peak, measured = part["peak"], part["experiment"]
    rows = [
        (
            "density (g/cm³)",
            f"{density['mean']:.3f} ± {density['error']:.3f}",
            "0.997",
        ),
        (
            "first O-O peak",
            f"{peak['height']:.2f} ± {part['peak_error']:.2f} at {peak['distance_A']:.2f} Å",
            f"{measured['height']:.2f} at {measured['distance_A']:.2f} Å",
        ),
        (
            "first minimum",
            f"{peak['minimum']:.2f} at {peak['minimum_A']:.2f} Å",
            f"{measured['minimum']:.2f} at {measured['minimum_A']:.2f} Å",
        ),
        (
            "diffusion (Å²/ps)",
            f"{part['diffusion_A2_per_ps']:.3f} ± {part['diffusion_error_A2_per_ps']:.3f}",
            "0.187",
        ),
    ]
    return f"""## Liquid water

{part["molecules"]} molecules at 300 K and 1 bar with Ewald's sum, classical nuclei with the mass of
deuterium, steps of 1 fs: {part["length_ps"]:.1f} ps after {part["equilibration_ps"]:.1f} ps of
equilibration, mean temperature {temperature["mean"]:.0f} ± {temperature["error"]:.0f} K, drift of
the conserved energy {part["drift_meV_per_atom_per_ps"]:.3f} meV/atom/ps. **That is short**: errors
are from block averages, and what relaxes in more than a few picoseconds is not in them.

![O-O radial distribution of water](images/so3lr-water.png)

{table(("", "SO3LR", "experiment"), rows)}

SO3LR's water is too light, structured like a supercooled liquid, and slow. Dispersion beyond the
cutoff does not explain that (see above), but dispersion is weak in it altogether: the Hirshfeld
ratio of oxygen falls from 0.94 in the molecule to 0.11 in the liquid, in the original JAX code as
well. How much quantum nuclei would soften the structure has not been measured.

The density is that of ordinary water with the same volume per molecule. Experiment: structure by
x-rays at 295 K, L. B. Skinner et al., J. Chem. Phys. 138, 074506 (2013); diffusion of heavy water
at 298 K, R. Mills, J. Phys. Chem. 77, 685 (1973). The small box slows diffusion down by about 0.05
Å²/ps (I.-C. Yeh, G. Hummer, J. Phys. Chem. B 108, 15873 (2004)), which is not added."""


def speed(part: Part) -> str:
    rows = []
    for entry in part["rows"]:
        times = {kind: entry[kind]["cpu_min_ms"] for kind in ("plain", "compiled", "so3lr_torch")}
        peer = times["so3lr_torch"]
        rows.append(
            (
                f"{NAMES[entry['kind']]}, {entry['atoms']} atoms",
                *(f"{time:.1f}" for time in times.values()),
                f"{peer / times['plain']:.1f}",
                f"{peer / times['compiled']:.1f}",
            )
        )
    made = "; ".join(
        f"for {'molecules' if kind == 'molecules' else 'crystals and liquids'} "
        f"{entry['build_cpu_s']:.0f} s, and {1e3 * entry['load_cpu_s']:.0f} ms to load its "
        f"{entry['size_bytes'] / 1e6:.0f} MB later"
        for kind, entry in part["making"].items()
        if "build_cpu_s" in entry
    )
    first = max(entry["first_cpu_s"]["compiled"] for entry in part["rows"])
    return f"""## Time of a step

Processor time of energy and forces of a new geometry, neighbour list included, in ms: float32, one
thread, the least of several in turns in one process on a busy machine; beside so3krates-torch {
        part["peer"]
    } by its
own ASE calculator with the published sums up to 12 Å. Ours are all pairs of molecules, and Ewald's
sum in water.

{
        table(
            ("", "plain", "compiled", "so3krates-torch", "plain faster by", "compiled faster by"),
            rows,
        )
    }

`ase-geomformer models compile so3lr` compiles once for each machine, in processor time {made}. The
first step then takes up to {first:.1f} s, the ones after it as above. Far pairs are searched with
the same skin as neighbours (`skin=0.5`)."""


def cost(part: Part) -> str:
    rows = [
        (
            f"{name} molecules",
            *(f"{entry[key]:.0f}" for key in ("auto", "published, 12", "neutral, 12")),
        )
        for name, entry in part["rows"].items()
    ]
    return f"""## Cost

Processor time of a step of periodic water in float32 on one core, ms, the least of several in
turns on a busy machine:

{table(("", "Ewald (`auto`)", "published, 12 Å", "neutralised, 12 Å"), rows)}

Ewald's sum is done wave by wave, as products of matrices. A mesh (`method: pme` of the term) took
forty times as long for 3000 charges, 1.6 s beside 37 ms with forces, and by extrapolation would pay
beyond a hundred thousand. All three can be compiled."""
