"""`python -m pnp_recon.cli.sr`."""

import sys

from pnp_recon.cli.sr import main

if __name__ == "__main__":
    sys.exit(main())
