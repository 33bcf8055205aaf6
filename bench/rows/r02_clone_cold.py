# SPDX-License-Identifier: GPL-2.0-only
"""A fresh clone against a cold boot of the same guest."""

from bench.guests import READY, clone, cold
from bench.model import Figure, Row
from harness.arch import arch_names

ROWS = tuple(
    Row(
        name=f"clone-cold/{arch}",
        title=f"fresh clone ready, against own cold boot, {arch}",
        ours=Figure(clone(arch), READY),
        theirs=Figure(cold(arch), READY),
        bar=1 / 8,
    )
    for arch in arch_names()
)
