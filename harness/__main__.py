# SPDX-License-Identifier: GPL-2.0-only
"""``harness`` and ``python -m harness``: Ctrl-C and SIGTERM end both well from the first moment."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; what it imports takes half a second, in which Ctrl-C may come, too."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        from harness.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
