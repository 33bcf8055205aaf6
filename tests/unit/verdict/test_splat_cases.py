# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of complaints, each in many wordings: what they are called, and that none is lost.

``golden/splat_cases/KIND.log`` holds pieces of logs, each under a line ``=== NAME`` and read alone.
``UPDATE_GOLDEN=1 pytest`` writes the ``KIND.json`` beside it, which is then read by a person.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.values import SplatKind
from harness.verdict import splat
from harness.verdict.klog import LogLine, log_lines
from harness.verdict.splat import find_splats, is_death
from tests.unit.golden import golden_logs, matches_golden
from tests.unit.verdict.test_splat import splats_of

LOGS = golden_logs("splat_cases")


def cases_of(log: Path) -> dict[str, list[str]]:
    """Return the lines of each case in *log*, by its name."""
    pieces = re.split(r"^=== (.*)\n", log.read_text(encoding="utf-8"), flags=re.M)
    return {
        name: text.removesuffix("\n").split("\n")
        for name, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_find_splats_golden_cases(log: Path) -> None:
    seen = {
        name: [
            f"{one.kind.value}: {one.title}, line {one.line}, {one.text.count(chr(10)) + 1} lines"
            + (", death" if is_death(one) else "")
            for one in splats_of(lines)
        ]
        for name, lines in cases_of(log).items()
    }
    matches_golden(seen, log.with_suffix(".json"))


# ---------------------------------------------------------------- lines of others

SPLATS = {log.stem: list(log_lines(log.read_text().split("\n"))) for log in golden_logs("splat")}


def kinds_of(lines: Sequence[LogLine]) -> list[tuple[SplatKind, str, bool]]:
    return [(one.kind, one.title, is_death(one)) for one in find_splats(lines)]


@pytest.mark.parametrize("name", SPLATS)
def test_find_splats_lines_of_others_split_none(name: str) -> None:
    other = LogLine(1, "foo: bar", quoted=False)
    lines = [piece for line in SPLATS[name] for piece in (line, *[other] * 12)]
    assert kinds_of(lines) == kinds_of(SPLATS[name])


@settings(deadline=None)
@given(
    st.sampled_from(list(SPLATS)), st.sampled_from(list(SPLATS)), st.randoms(use_true_random=False)
)
def test_find_splats_two_callers_are_told_apart(one: str, two: str, random: Random) -> None:
    rest = [
        [replace(line, caller="T57") for line in SPLATS[one]],
        [replace(line, caller="C1") for line in SPLATS[two]],
    ]
    lines: list[LogLine] = []
    while any(rest):
        part = random.choice([part for part in rest if part])
        lines += part[:2]
        del part[:2]
    assert Counter(kinds_of(lines)) == Counter(kinds_of(SPLATS[one]) + kinds_of(SPLATS[two]))


def test_find_splats_lines_without_a_caller_are_of_the_one_before() -> None:
    lines = [LogLine(1, "BUG: kernel NULL pointer dereference", quoted=False, caller="T5")]
    lines += [LogLine(1, text, quoted=False) for text in ("Oops: 0002 [#1]", "RIP: 0010:f+0x1/0x2")]
    assert [one.title for one in find_splats(lines)] == ["kernel NULL pointer dereference in f"]


def test_find_splats_lines_left_out_are_counted() -> None:
    lines = ["BUG: kernel NULL pointer dereference", *["foo: bar"] * 30, "Oops: 0002 [#1]"]
    (one,) = splats_of(lines)
    assert one.text.split("\n")[1] == "[... 30 lines of others ...]"


# ---------------------------------------------------------------- the same on every run

OTHERS = (
    (r"\bdemo([:/])7\b", r"a b:c\g<1>4242"),
    (r"\bPID: \d+", "PID: 31337"),
    (r"\bpid[: ]+\d+", "pid: 31337"),
    (r"CPU#\d", "CPU#3"),
    (r"CPU: \d", "CPU: 3"),
    (r"\+0x[0-9a-f]+/0x[0-9a-f]+", "+0x2c/0x51"),
    (r"\b(?:0x)?[0-9a-f]{12,16}\b", "ffff8881deadbeef"),
    (r"\b(irq |IRQ #)11\b", r"\g<1>7"),
    (r"stuck for \d+s", "stuck for 99s"),
    (r"more than \d+ seconds", "more than 999 seconds"),
)


@pytest.mark.parametrize(
    "log",
    [log for log in LOGS if log.stem not in ("leaks", "task-names")],
    ids=lambda log: log.stem,
)
def test_find_splats_titles_are_the_same_on_every_run(log: Path) -> None:
    for name, lines in cases_of(log).items():
        other = "\n".join(lines)
        for pattern, words in OTHERS:
            other = re.sub(pattern, words, other)
        titles = [one.title for one in splats_of(lines)]
        assert [one.title for one in splats_of(other.split("\n"))] == titles, name


# ---------------------------------------------------------------- what the kernel died of

FRAMES = [" frame+0x1/0x2"] * 170


@pytest.mark.parametrize(
    ("head", "panic"),
    [
        ("INFO: task demo:7 blocked for more than 122 seconds.", "hung_task: blocked tasks"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [demo:7]", "softlockup: hung tasks"),
        ("WARNING: CPU: 0 PID: 7 at mm/demo.c:1 f+0x1/0x2", "panic_on_warn set ..."),
        ("BUG: scheduling while atomic: demo/7/0x00000002", "scheduling while atomic"),
        ("demo: a report of unknown words", "panic_on_warn set ..."),
    ],
)
@pytest.mark.parametrize("more", [0, 60, 3000])
def test_find_splats_death_in_the_middle_of_a_long_text(head: str, panic: str, more: int) -> None:
    last = f"Kernel panic - not syncing: {panic}"
    lines = [head, "Call Trace:", *FRAMES, last, *FRAMES[:1] * more]
    (one,) = splats_of(lines)
    assert is_death(one)
    assert one.died
    assert last in one.text.split("\n")
    assert one.text.count("\n") < splat.MAX_TEXT + 1


@pytest.mark.parametrize(
    "last",
    ["Insufficient stack space to handle exception!", "PANIC: double fault, error_code: 0x0"],
)
def test_find_splats_death_of_its_own_right_behind_a_splat(last: str) -> None:
    warning = ["WARNING: CPU: 0 PID: 7 at mm/demo.c:1 f+0x1/0x2", "Call Trace:", " f+0x1/0x2"]
    assert [is_death(one) for one in splats_of([*warning, last])] == [False, True]


def test_is_death_words_of_others_kill_nobody() -> None:
    lines = [
        "WARNING: CPU: 0 PID: 7 at mm/demo.c:1 f+0x1/0x2",
        "foo: Kernel panic - not syncing: x",
    ]
    (one,) = splats_of([*lines, "Call Trace:", " f+0x1/0x2"])
    assert not is_death(one)


def test_find_splats_storm_keeps_the_death_and_the_unknown() -> None:
    warning = ["WARNING: CPU: 0 PID: 7 at mm/demo.c:1 f+0x1/0x2", "---[ end trace 0 ]---"]
    dump = ["CPU: 0 PID: 7 Comm: demo", "Call Trace:", " demo_put+0x1/0x2"]
    fault = ["FAULT_INJECTION: forcing a failure.", "name failslab, interval 1", *dump]
    storm = [*warning * 300, *fault * 300, "demo: the state is odd", *dump]
    found = splats_of([*storm, *warning[:1], "Kernel panic - not syncing: panic_on_warn set ..."])
    assert [one.kind for one in found[-2:]] == [SplatKind.UNCLASSIFIED, SplatKind.WARNING]
    assert is_death(found[-1])
    assert len(found) == splat.MAX_SPLATS + 2


def test_find_splats_cut_report_at_the_end_of_a_log_is_shown() -> None:
    (one,) = splats_of(["------------[ cut here ]------------", "some new words"])
    assert (one.kind, one.title) == (SplatKind.UNCLASSIFIED, "unknown complaint: some new words")
