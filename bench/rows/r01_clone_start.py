# SPDX-License-Identifier: GPL-2.0-only
"""A fresh clone against the least that QEMU itself takes."""

from bench.guests import READY, WHOLE, clone, no_machine
from bench.model import Figure, Row
from harness.arch import arch_names

ROWS = tuple(
    Row(
        name=f"clone-start/{arch}",
        title=f"fresh clone ready, against QEMU's own start and quit, {arch}",
        ours=Figure(clone(arch), READY),
        theirs=Figure(no_machine(arch), WHOLE),
        bar=4,
    )
    for arch in arch_names()
)
