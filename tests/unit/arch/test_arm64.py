# SPDX-License-Identifier: GPL-2.0-only
"""What only arm64's file knows."""

from __future__ import annotations

import pytest

from harness.arch.arm64 import ARCH


@pytest.mark.parametrize(
    ("before", "target"),
    [
        ("04000094", 0xFFFF_FFC0_1000_100C),  # bl to 4 instructions after itself
        ("1f2003d5 ffffff97", 0xFFFF_FFC0_1000_0FF8),  # bl to the one before
        ("04000014", None),  # a jump
        ("00003fd6", None),  # an indirect call
        ("0094", None),
    ],
)
def test_call_target_is_that_of_a_direct_call(before: str, target: int | None) -> None:
    assert ARCH.registers.call_target(0xFFFF_FFC0_1000_1000, bytes.fromhex(before)) == target
