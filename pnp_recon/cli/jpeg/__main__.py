"""`python -m pnp_recon.cli.jpeg`."""

import sys

from pnp_recon.cli.jpeg import main

if __name__ == "__main__":
    sys.exit(main())
