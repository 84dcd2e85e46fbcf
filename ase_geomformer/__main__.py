"""``python -m ase_geomformer`` is the command line, where scripts are not on the path."""

import sys

from ase_geomformer.cli import main

if __name__ == "__main__":
    sys.exit(main())
