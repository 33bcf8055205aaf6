# SPDX-License-Identifier: GPL-2.0-only
"""Golden files: what a parser makes of a log, kept beside the log.

Logs named ``seen-*`` are what real guests printed, on a fault that a module of ours was told to
commit or (``oom``) when memory ran out; the others were written by hand after the formats of the
kernel they name. ``splat_cases`` has many pieces of logs in a file, each read alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(__file__).parent


def golden_logs(kind: str) -> list[Path]:
    """Return every ``NAME.log`` of *kind*; there must be some."""
    logs = sorted((FOLDER / kind).glob("*.log"))
    assert logs, f"no golden logs in {FOLDER / kind}"
    return logs


def matches_golden(seen: object, golden: Path) -> None:
    """Assert that *seen* is what *golden* holds; with UPDATE_GOLDEN=1, write it instead."""
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert golden.is_file(), f"no {golden.name}: make it with UPDATE_GOLDEN=1 and read it"
    assert seen == json.loads(golden.read_text(encoding="utf-8"))
