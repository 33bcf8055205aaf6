# SPDX-License-Identifier: GPL-2.0-only
"""The time stamp that printk puts before a message, on a console and in what dmesg prints.

CONFIG_PRINTK_CALLER adds the task (T) or processor (C); raw dmesg has the level in front.
"""

from __future__ import annotations

import re

STAMP_TIME = r"\[ {0,8}(?P<seconds>[0-9]{1,10})\.(?P<micros>[0-9]{6})\]"
STAMP = re.compile(rf"(?:<[0-9]{{1,3}}>)?{STAMP_TIME}(?:\[ *(?P<caller>[TC][0-9]{{1,9}})\])? ?")


def stamp_us(stamp: re.Match[str]) -> int:
    """Return the time of a match of :data:`STAMP`, in microseconds since boot."""
    return int(stamp["seconds"]) * 1_000_000 + int(stamp["micros"])
