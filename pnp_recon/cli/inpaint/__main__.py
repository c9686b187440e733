"""`python -m pnp_recon.cli.inpaint`."""

import sys

from pnp_recon.cli.inpaint import main

if __name__ == "__main__":
    sys.exit(main())
