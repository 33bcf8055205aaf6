# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness``: the same as ``harness``."""

from __future__ import annotations

import sys

from harness.cli.main import main

sys.exit(main())
