# SPDX-License-Identifier: GPL-2.0-only
"""``python -m bench.account FILE ARGS...``: the harness command, and what it took, into FILE.

What Python took and what its children took can only be told apart from inside.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from harness.cli import main as cli


def main(argv: list[str]) -> int:
    """Run ``harness ARGS`` and write its processor time (s) and peak memory (KiB)."""
    file, *args = argv
    status = cli.main(args)
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "own_s": own.ru_utime + own.ru_stime,
        "children_s": children.ru_utime + children.ru_stime,
        "peak_kib": _peak_kib(),
    }
    Path(file).write_text(json.dumps(facts))
    return status


def _peak_kib() -> int:
    """Return the most memory that this process had; ru_maxrss also counts its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
