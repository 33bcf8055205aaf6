# SPDX-License-Identifier: GPL-2.0-only
"""What only x86_64's file knows."""

from __future__ import annotations

import pytest

from harness.arch.x86_64 import ARCH


@pytest.mark.parametrize(
    ("before", "target"),
    [
        ("000000 e810000000", 0xFFFF_FFFF_8100_1010),
        ("000000 e8fbffffff", 0xFFFF_FFFF_8100_0FFB),
        ("000000 e910000000", None),  # a jump
        ("00000000000000ffd0", None),  # an indirect call
        ("e8100000", None),
        ("", None),
    ],
)
def test_call_target_is_that_of_a_direct_call(before: str, target: int | None) -> None:
    assert ARCH.registers.call_target(0xFFFF_FFFF_8100_1000, bytes.fromhex(before)) == target
