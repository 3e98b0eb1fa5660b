"""python -m lightflash."""

import sys

from lightflash.cli import main

sys.exit(main())
