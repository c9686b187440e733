"""`python -m pnp_recon.cli.bench`."""

import sys

from pnp_recon.cli.bench import main

if __name__ == "__main__":
    sys.exit(main())
