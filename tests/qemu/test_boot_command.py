# SPDX-License-Identifier: GPL-2.0-only
"""``harness boot``, as a person uses it to look into a guest."""

from __future__ import annotations

import json
import re

import pytest

from harness.arch import arch_names
from tests.qemu.conftest import Harness


@pytest.mark.parametrize("arch", arch_names())
def test_boot_says_what_the_guest_has_and_runs_commands(harness: Harness, arch: str) -> None:
    done = harness("boot", "--arch", arch, "--exec", "uname -r", "--exec", "exit 7")
    assert done.returncode == 7, done.stderr  # the last command's own
    said = r"of 128 MiB the kernel itself took ([\d.]+) and gave out ([\d.]+), ([\d.]+) of it free"
    found = re.search(said, done.stdout)
    assert found
    taken, known, free = map(float, found.groups())
    assert taken + known == pytest.approx(128, abs=0.2)
    assert 0 < free < known
    assert re.search(r"\$ uname -r\n5\.10\.\d+\n", done.stdout)


def test_the_exit_code_is_that_of_the_first_command_that_failed(harness: Harness) -> None:
    commands = ("true", "kill -9 $$", "exit 3", "echo 'still run' >&2")
    done = harness("boot", "--arch", "arm64", *(w for c in commands for w in ("--exec", c)))
    assert done.returncode == 128 + 9, done.stderr
    assert "still run" in done.stdout


@pytest.mark.parametrize("arch", arch_names())
def test_a_guest_boots_and_answers_on_ssh_in_48_mib(harness: Harness, arch: str) -> None:
    done = harness("boot", "--arch", arch, "--ram", "48M", "--exec", "true")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arch", arch_names())
def test_a_profile_says_where_the_time_of_the_boot_goes(harness: Harness, arch: str) -> None:
    done = harness("boot", "--arch", arch, "--profile", "--json")
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    phases = {phase["name"]: phase["seconds"] for phase in profile["phases"]}
    assert sum(phases.values()) == pytest.approx(profile["ready_s"])
    assert phases["decompression"] == 0.0
    assert profile["clone_s"] > 0.0
    assert all(phases[name] > 0.0 for name in ("QEMU, firmware", "initcalls", "init"))
    slowest = [call["name"] for call in profile["initcalls"][:20]]
    assert "populate_rootfs" in slowest


def test_a_profile_is_shown_with_bars(harness: Harness) -> None:
    done = harness("boot", "--arch", "arm64", "--profile")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^initcalls +\d+\.\d +\d+ +[█#]", done.stdout, re.M)
    assert re.search(r"^slowest initcalls", done.stdout, re.M)


@pytest.mark.parametrize("rest", [("--json",), ("--profile", "--json", "--exec", "true")])
def test_json_is_the_profile_and_nothing_else(harness: Harness, rest: tuple[str, ...]) -> None:
    done = harness("boot", *rest)
    assert done.returncode == 2
    assert "--json" in done.stderr
