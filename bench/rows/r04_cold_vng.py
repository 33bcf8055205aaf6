# SPDX-License-Identifier: GPL-2.0-only
"""A cold boot against virtme-ng's."""

from bench import vng
from bench.guests import READY, WHOLE, cold
from bench.model import Figure, Row

ROWS = (
    Row(
        name="cold-vng",
        title="cold boot to ready, against `vng ... -- true`, x86_64",
        ours=Figure(cold("x86_64"), READY),
        theirs=Figure(vng.ONE, WHOLE),
        bar=1 / 5,
    ),
)
