"""`python -m sgdsl.cli`."""

from __future__ import annotations

import sys

from sgdsl.cli import main

sys.exit(main())
