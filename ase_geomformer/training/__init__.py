"""Training of potentials on labelled structures."""

# Lightning imports rich, which must not be the first to do so.
from ase_geomformer.machine import display as display
