"""``python -m pcvae``: the program ``pcvae``."""

import sys

from pcvae.cli.program import main

sys.exit(main())
