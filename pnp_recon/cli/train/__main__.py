"""`python -m pnp_recon.cli.train`."""

import sys

from pnp_recon.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
