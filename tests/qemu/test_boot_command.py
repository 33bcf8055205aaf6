# SPDX-License-Identifier: GPL-2.0-only
"""``harness boot``, as a person uses it to look into a guest."""

from __future__ import annotations

import re

import pytest

from harness.arch import arch_names
from tests.qemu.conftest import Harness


@pytest.mark.parametrize("arch", arch_names())
def test_boot_says_what_the_guest_has_and_runs_commands(harness: Harness, arch: str) -> None:
    done = harness("boot", "--arch", arch, "--exec", "uname -r", "--exec", "exit 7")
    assert done.returncode == 1, done.stderr  # the last command failed
    found = re.search(r"(\d+) of (\d+) KiB free", done.stdout)
    assert found
    assert int(found[1]) < int(found[2]) <= 128 * 1024
    assert re.search(r"\$ uname -r\n5\.10\.\d+\n", done.stdout)


@pytest.mark.parametrize("arch", arch_names())
def test_a_guest_boots_in_64_mib(harness: Harness, arch: str) -> None:
    done = harness("boot", "--arch", arch, "--ram", "64M", "--exec", "true")
    assert done.returncode == 0, done.stdout + done.stderr
