# SPDX-License-Identifier: GPL-2.0-only
"""Tests that do not end, in guests of the fake QEMU: what is seen of them, and the last look."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest.guest import boot
from harness.guest.qemu.qmp import Monitor
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Ended, Stuck, TestOutcome
from harness.model.values import GuestTest
from harness.run import diagnose, stall
from harness.run.guest_test import run_test
from harness.run.stall import ProgressSample, StallDetector, Watch, Watchdog
from tests.integration.fakeqemu import BOOTS, fake_guest, fake_machine

# The fake one takes no CPU time and sends no samples: what does not end in it hangs.
TEST = GuestTest(*("sweep", Path("sweep"), "", "sweep_test", "sweep"), timeout_s=60.0, stall_s=0.3)
STARTS = 'insmod = [{ agent = "kmsg 6,{seq},2000000;# Subtest: sweep" }]'
# A processor that waits for interrupts, one that works in the kernel.
IDLE = "CPU#0\\r\\nRIP=00000000004012a0 RBP=0000000000000000\\r\\n"
BUSY = "CPU#0\\r\\nRBP=ffffc90000010000 RIP=ffffffff81000123\\r\\n"
SYSTEM_MAP = "ffffffff81000100 T seeded_loop\nffffffff81000200 t _next\n"
# Bottom up: who runs the case waits for a mutex.
DUMP = """
[    5.000000] task:init            state:D stack:    0 pid:   29 ppid:     1 flags:0x00000000
[    5.000001] Call Trace:
[    5.000002]  schedule+0x10/0x20
[    5.000003]  kunit_try_catch_run+0x10/0x20
[    5.000004]  sweep_init+0x10/0x20 [sweep_test]
[    5.000005] task:kunit_try_catch state:D stack:    0 pid:   31 ppid:     2 flags:0x00000000
[    5.000006] Call Trace:
[    5.000007]  schedule+0x10/0x20
[    5.000008]  __mutex_lock+0x10/0x20
[    5.000009]  takes_it_twice+0x10/0x20
[    5.000010]  sweep_case+0x10/0x20 [sweep_test]
"""


def run(folder: Path, scenario: str) -> tuple[TestOutcome, str]:
    """Run the test in a guest that plays *scenario*; return what came of it, and stuck.txt."""
    (folder / "System.map").write_text(SYSTEM_MAP)
    with boot(fake_guest(folder, scenario), folder / "cell") as guest:
        outcome = run_test(guest, TEST)
        assert not guest.alive
    seen = folder / "cell" / diagnose.NAME
    return outcome, seen.read_text() if seen.is_file() else ""


def test_diagnosis_names_hang_by_task_dump(tmp_path: Path) -> None:
    printed = json.dumps(DUMP.replace("\n", "\r\n"))
    scenario = f"""{BOOTS}
    [on]
    {STARTS}
    "write /proc/sysrq-trigger" = [{{ console = {printed} }}, {{ agent = "ok {{id}}" }}]
    [monitor]
    "info registers -a" = "{IDLE}"
    """
    outcome, seen = run(tmp_path, scenario)
    assert (outcome.ended, outcome.stuck) == (Ended.STUCK, Stuck.HANG)
    assert outcome.where == "takes_it_twice"
    assert outcome.log == ("# Subtest: sweep",)
    assert " of its 60 s: the guest is silent, its processors idle" in outcome.reason
    assert [line for line in seen.splitlines() if line.startswith("sysrq")] == [
        "sysrq t:",
        "sysrq w:",
        "sysrq m:",
    ]
    assert "the test is stuck in task kunit_try_catch (state D), in takes_it_twice" in seen
    marks = (tmp_path / "cell" / "samples.jsonl").read_text().splitlines()
    assert json.loads(marks[-1])["text"] == "hang in takes_it_twice"


@pytest.mark.parametrize("before", ["", '{ flood = ["console", 1] },'])
def test_diagnosis_of_silent_guest_ends_with_nmi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(diagnose, "STARVED_DUMP_S", 0.05)
    starts = STARTS.replace("[{", f"[{before} {{")  # more lines than are kept of a console
    scenario = f"""
    nmi = [{{ console = "Kernel panic - not syncing: NMI: Not continuing\\r\\n" }}, {{ exit = 0 }}]
    {BOOTS}
    [on]
    {starts}
    "write /proc/sysrq-trigger" = []
    [monitor]
    "info registers -a" = "{BUSY}"
    "x /2gx 0xffffc90000010000" = "ffffc90000010000: 0x0000000000000000 0xffffffff81000204\\r\\n"
    """
    outcome, seen = run(tmp_path, scenario)
    assert (outcome.ended, outcome.where) == (Ended.STUCK, "seeded_loop")
    assert "processor 0, look 1:\n  seeded_loop+0x23\n  _next+0x4\n" in seen
    assert "processor 0, look 5:" in seen
    assert "sysrq t: the guest did not answer" in seen
    assert "after an NMI:\nKernel panic - not syncing: NMI: Not continuing" in seen


def test_diagnosis_without_nmi_ends_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose, "STARVED_DUMP_S", 0.05)
    scenario = f"""{BOOTS}
    [on]
    {STARTS}
    "write /proc/sysrq-trigger" = []
    [monitor]
    "info registers -a" = "{BUSY}"
    """
    outcome, seen = run(tmp_path, scenario)
    assert (outcome.ended, outcome.where) == (Ended.STUCK, "seeded_loop")
    assert "after an NMI" not in seen


def test_diagnosis_of_stuck_emulator_is_no_stall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose, "DUMP_S", 0.2)
    monkeypatch.setattr("harness.run.stall.WHOLE_PART", 0.0)
    monkeypatch.setattr("harness.run.stall.LEAST_LOOK_S", 0.001)
    scenario = f'ignore = ["human"]\n{BOOTS}\n[on]\n{STARTS}'
    outcome, seen = run(tmp_path, scenario)
    assert (outcome.ended, outcome.stuck) == (Ended.SILENT, None)
    assert "processors: QEMU did not answer" in seen
    # What it took is told, not what it was granted.
    took = re.search(r"^seen in ([\d.]+) s; there were 0\.0 s for it$", seen, re.M)
    assert took
    assert float(took[1]) >= diagnose.DUMP_S
    assert re.search(r"^  thread \d+, .*: state [SR], \d+\.\d\d s of CPU time$", seen, re.M)


@pytest.mark.parametrize("answers", [True, False])
def test_diagnosis_of_sampling_guest_needs_no_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """A busy guest may keep QEMU from its monitor, and goes on sending what shows it."""
    monkeypatch.setattr(diagnose, "DUMP_S", 2.0 if answers else 0.1)
    monkeypatch.setattr("harness.run.guest_test.STARVED_S", 60.0)
    monkeypatch.setattr(Monitor, "human", _no_answer)
    printed = json.dumps(DUMP.replace("state:D", "state:R").replace("\n", "\r\n"))
    dump = f"{{ console = {printed} }}, {{ agent = 'ok {{id}}' }}" if answers else ""
    scenario = f"""{BOOTS}
    [on]
    insmod = [
        {{ samples = "at_us=1 user_ms=0 system_ms=0 idle_ms=0" }},
        {{ agent = "kmsg 6,{{seq}},2000000;# Subtest: sweep" }},
        {{ nap = 1 }},
        {{ samples = "at_us=2 user_ms=1 system_ms=9 idle_ms=0" }},
    ]
    "write /proc/sysrq-trigger" = [{dump}]
    """
    outcome, seen = run(tmp_path, scenario)
    assert (outcome.ended, outcome.stuck) == (Ended.STUCK, Stuck.LIVELOCK)
    assert outcome.where == ("takes_it_twice" if answers else "")
    assert " of its 60 s: 90% of its processors' time went into the kernel" in outcome.reason
    assert "processors: QEMU did not answer" in seen


def _no_answer(*_: object, **__: object) -> str:
    raise GuestError("QEMU did not answer")


def test_diagnosis_ends_at_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.stall.WHOLE_PART", 0.0)
    monkeypatch.setattr("harness.run.stall.LEAST_LOOK_S", 0.001)
    scenario = f"""{BOOTS}
    [on]
    {STARTS}
    "write /proc/sysrq-trigger" = []
    [monitor]
    "info registers -a" = "{BUSY}"
    """
    outcome, seen = run(tmp_path, scenario)
    assert (outcome.ended, outcome.where) == (Ended.STUCK, "seeded_loop")
    assert "look 1" in seen
    assert "look 2" not in seen
    assert "sysrq w" not in seen


# ---------------------------------------------------------------- what is seen while it runs


def test_sampler_is_told_begin_and_module(tmp_path: Path) -> None:
    scenario = f"""{BOOTS}
    [on]
    go = [
        {{ samples = "at_us=1000000 free_kib=10 done=0" }},
        {{ samples = "no sample" }},
        {{ samples = "at_us=1500000 free_kib=9 done=3 latency_us=1,2 Bad=1 also_bad=x" }},
    ]
    stop = [{{ console = "sampler: stopped" }}]
    insmod = [
        {{ agent = "kmsg 6,{{seq}},1100000;    # Subtest: sweep" }},
        {{ agent = "kmsg 6,{{seq}},1200000;    ok 1 - a" }},
        {{ agent = "end {{id}} exit:0" }},
    ]
    """
    with boot(fake_guest(tmp_path, scenario), tmp_path / "cell") as guest:
        assert run_test(guest, replace(TEST, stall_s=60.0)).ended is Ended.DONE
        guest.console.expect("sampler: stopped", Deadline(20))
    lines = (tmp_path / "cell" / "samples.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [one for one in found if "mark" not in one] == [
        {"t": 0.0, "free_kib": 10, "done": 0},
        {"t": 0.5, "free_kib": 9, "done": 3, "latency_us": [1, 2]},
    ]
    assert [(one["mark"], one["text"]) for one in found if "mark" in one] == [
        ("case-begin", "a"),
        ("case-end", "ok a"),
    ]


@pytest.mark.parametrize(
    ("sample", "done", "retries", "cpu_ms"),
    [
        ("done=3 retries=4 user_ms=1 system_ms=2 idle_ms=3", 3, 4, (1, 2, 3)),
        ("done=3,4 retries=5 user_ms=1 system_ms=2", None, 5, None),
        ("free_kib=1 user_ms=1,1 system_ms=2 idle_ms=3", None, None, None),
    ],
)
def test_watch_sample_has_latest_figures(
    tmp_path: Path,
    sample: str,
    done: int | None,
    retries: int | None,
    cpu_ms: tuple[int, int, int] | None,
) -> None:
    scenario = f"""{BOOTS}
    [on]
    go = [{{ samples = "at_us=1" }}, {{ samples = "at_us=2 {sample}" }}]
    hello = [
        {{ agent = "kmsg 6,{{seq}},1;ok 1 - a" }},
        {{ agent = "kmsg 6,{{seq}},2;somebody else" }},
        {{ agent = "kmsg 6,{{seq}},3;# a: 3 pages" }},
        {{ agent = "ok {{id}}" }},
    ]
    """
    with fake_machine(tmp_path, scenario) as machine:
        machine.agent.wait_ready(Deadline(20))
        machine.sampling.begin("sweep_test")

        def newest() -> bool:
            return (machine.sampling.newest or {}).get("at_us") == 2

        assert machine.vitals.wait(newest, Deadline(20)) is Wait.MET
        with machine.agent.recording() as recording:
            watch = Watch(machine.pid, machine.sampling, recording)
            assert watch.sample().said == 0
            machine.agent.call("hello", deadline=Deadline(20))
            sample = watch.sample()
    assert (sample.said, sample.done, sample.retries, sample.cpu_ms) == (2, done, retries, cpu_ms)
    assert 0 < sample.sampled_at <= sample.at
    assert watch.sample().emulator_s == 0.0  # it is gone


def test_watchdog_passes_on_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "LOOK_S", 0.0)
    times = iter((0.0, 5.0, 11.0, 12.0))

    def look() -> ProgressSample:
        at = next(times)
        idle = int(at * 1000)
        return ProgressSample(at=at, said=1, sampled_at=at, cpu_ms=(0, 0, idle))

    watched = Watchdog(3600.0, StallDetector(limit_s=10.0), look)
    assert [watched.passed, watched.passed] == [False, False]
    assert watched.remaining() > 0.0
    assert watched.passed
    assert watched.stall is not None
    assert (watched.stall.kind, watched.stall.seconds) == (Stuck.HANG, 11.0)
    # It stays so, and looks no more.
    assert watched.passed
    assert watched.remaining() == 0.0
    assert next(times) == 12.0


def test_watchdog_wakes_waiter_for_each_look() -> None:
    watched = Watchdog(3600.0, StallDetector(limit_s=10.0), lambda: ProgressSample(at=0.0, said=0))
    assert watched.remaining() <= stall.LOOK_S
    assert not watched.passed
    assert 0.0 < watched.remaining() <= stall.LOOK_S
    over = Watchdog(0.0, StallDetector(limit_s=10.0), lambda: ProgressSample(at=0.0, said=0))
    assert over.passed
    assert over.stall is None
