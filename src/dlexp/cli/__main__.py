"""`python -m dlexp.cli` is the command `dlexp`."""

import sys

from dlexp.cli.main import main

sys.exit(main())
