"""`python -m pnp_recon.cli.deblur`."""

import sys

from pnp_recon.cli.deblur import main

if __name__ == "__main__":
    sys.exit(main())
