# SPDX-License-Identifier: GPL-2.0-only
"""The compiler cache: folder and size, statistics, eviction."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass

from harness.host import process
from harness.host.paths import Cache

# A kernel of the default fragments takes 30 MiB, and so does a position that touches a widely
# included header: room for sixty. ccache's default of 5 GiB would outgrow all other entries.
MAX_SIZE = "2G"


@dataclass(frozen=True)
class Statistics:
    """Counters of ccache since its folder was made."""

    hits: int
    misses: int
    size: int  # bytes
    files: int
    max_size: str  # as ccache takes it: "2G"


def environ(cache: Cache) -> dict[str, str]:
    """Return the environment that sets ccache's folder and size; the user's own size wins."""
    return {
        "CCACHE_DIR": str(cache.ccache),
        "CCACHE_MAXSIZE": os.environ.get("CCACHE_MAXSIZE", MAX_SIZE),
    }


def statistics(cache: Cache) -> Statistics | None:
    """Return ccache's figures; None where it is not installed, was not used, or tells none."""
    if shutil.which("ccache") is None or not cache.ccache.is_dir():
        return None
    env = environ(cache)
    done = process.run(("ccache", "--print-stats"), env=env)
    counts = dict(line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 1)
    try:
        return Statistics(
            hits=int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"]),
            misses=int(counts["cache_miss"]),
            size=int(counts["cache_size_kibibyte"]) * 1024,
            files=int(counts["files_in_cache"]),
            max_size=env["CCACHE_MAXSIZE"],
        )
    except (KeyError, ValueError):
        return None  # before 4.0 the counters had other names


def evict(cache: Cache, unused_s: float) -> bool:
    """Let ccache remove results unused for *unused_s* seconds; False: it could not."""
    if shutil.which("ccache") is None:
        return False
    seconds = max(0, math.floor(unused_s))
    argv = ("ccache", "--evict-older-than", f"{seconds}s")
    return process.run(argv, env=environ(cache)).ok
