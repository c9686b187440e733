"""`python -m pnp_recon.cli.mri`."""

import sys

from pnp_recon.cli.mri import main

if __name__ == "__main__":
    sys.exit(main())
