"""`python -m fcnbench` is `fcnbench`."""

import sys

from fcnbench.cli.main import main

sys.exit(main())
