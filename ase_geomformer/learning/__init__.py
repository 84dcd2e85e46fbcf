"""From a structure and any ASE calculator to a trained potential: labels, samples, students."""
