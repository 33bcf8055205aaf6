# SPDX-License-Identifier: GPL-2.0-only
"""The cost of a guest's samples to the guest: ten a second, while a test runs."""

from bench.guests import WORKED, sampled_work
from bench.model import Figure, Row
from harness.arch import arch_names

ROWS = tuple(
    Row(
        name=f"sampler/{arch}",
        title=f"work in a guest that is sampled, against the same without samples, {arch}",
        ours=Figure(sampled_work(arch, sampled=True), WORKED),
        theirs=Figure(sampled_work(arch, sampled=False), WORKED),
        bar=None,
        group="sampler",
        runs=15,
    )
    for arch in arch_names()
)
