# SPDX-License-Identifier: GPL-2.0-only
"""A boot's log taken apart: real logs, and anything at all.

A new golden case is what ``dmesg`` says in a guest booted with ``initcall_debug``; see
``golden/__init__.py``.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.model.jsonio import from_json, to_json
from harness.report.terminal.boot_profile import show_profile
from harness.verdict.boot_profile import READY_MARK, BootProfile, compressed, profile_boot
from tests.unit.golden import golden_logs, matches_golden

LOGS = golden_logs("bootprofile")
EACH_LOG = pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)


def taken_apart(lines: list[str], *, ready_s: float = 5.0) -> BootProfile:
    return profile_boot(lines, arch="toy", release="5.10", ready_s=ready_s, unpacks=False)


def lines_of(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines()


@EACH_LOG
def test_profile_boot_golden_logs(log: Path) -> None:
    profile = taken_apart(lines_of(log))
    seen = {
        "phases": [[p.name, round(p.seconds, 6), p.note] for p in profile.phases],
        "initcalls": len(profile.initcalls),
        "slowest": [[c.name, c.seconds] for c in profile.initcalls[:5]],
    }
    matches_golden(seen, log.with_suffix(".json"))


@EACH_LOG
def test_profile_boot_phases_add_up_to_ready(log: Path) -> None:
    profile = taken_apart(lines_of(log), ready_s=7.5)
    assert sum(phase.seconds for phase in profile.phases) == pytest.approx(7.5)
    assert all(phase.seconds >= 0 for phase in profile.phases)
    assert from_json(BootProfile, to_json(profile)) == profile


@EACH_LOG
@pytest.mark.parametrize("missing", ["pid_max: default", "Run /init", READY_MARK])
def test_profile_boot_log_without_a_required_line_is_refused(log: Path, missing: str) -> None:
    lines = [line for line in lines_of(log) if missing not in line]
    with pytest.raises(ValueError, match=missing):
        taken_apart(lines)


def test_profile_boot_initcalls_of_modules_are_left_out() -> None:
    lines = lines_of(LOGS[0])
    stamp = lines[-1].split("]")[0]
    late = f"{stamp}] initcall test_init+0x0/0x10 [test] returned 0 after 9999999 usecs"
    assert taken_apart([*lines, late]) == taken_apart(lines)


@given(st.lists(st.text() | st.sampled_from(lines_of(LOGS[0]))))
def test_profile_boot_any_text_gives_a_profile_or_one_error(lines: list[str]) -> None:
    with contextlib.suppress(ValueError):
        assert all(phase.seconds >= 0 for phase in taken_apart(lines).phases)


@pytest.mark.parametrize(
    ("head", "unpacks"),
    [
        (b"\x7fELF\x02\x01\x01".ljust(64, b"\0"), False),
        (b"\0" * 56 + b"ARM\x64" + b"\0" * 4, False),
        (b"\x4d\x5a\xea\x07\x00".ljust(64, b"\0"), True),  # bzImage
        (b"\x1f\x8b\x08".ljust(64, b"\0"), True),  # Image.gz
        (b"", True),
    ],
)
def test_compressed_images(head: bytes, unpacks: bool) -> None:
    assert compressed(head) is unpacks


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@EACH_LOG
def test_show_profile_bars_follow_each_other(log: Path, encoding: str) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    profile = replace(taken_apart(lines_of(log)), clone_s=0.25)
    show_profile(profile, Console(file=out, width=80, force_terminal=False))
    out.flush()
    shown = raw.getvalue().decode(encoding).splitlines()
    assert max(map(len, shown)) <= 80
    block = "█" if encoding == "utf-8" else "#"
    starts = [line.find(block) for line in shown if line.startswith(("QEMU, ", "initcalls "))]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1]
    (cloned,) = (line for line in shown if line.startswith("(a clone)"))
    assert cloned.split()[2:] == ["250.0", "5", 2 * block]
    slowest = next(i for i, line in enumerate(shown) if line.startswith("slowest initcalls"))
    assert len(shown) > slowest + 5
