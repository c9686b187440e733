"""`python -m pnp_recon.cli.ct`."""

import sys

from pnp_recon.cli.ct import main

if __name__ == "__main__":
    sys.exit(main())
