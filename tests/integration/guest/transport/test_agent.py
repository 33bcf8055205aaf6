# SPDX-License-Identifier: GPL-2.0-only
"""The conversation with PID 1: what it says, what it fails to say, and when waits end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from harness.guest.machine import Machine
from harness.guest.transport import agent as agent_module
from harness.guest.transport import reader
from harness.guest.transport.agent import NoAnswer
from harness.guest.transport.lost_records import Gap
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from tests.integration.fakeqemu import READY, fake_machine

SOON = 20.0


def played(folder: Path, on: str = "", boot: str = "", head: str = "") -> Machine:
    """Return a machine that is ready, plays *boot* after that, and *on* for requests."""
    ready = f'{{ agent = "{READY}" }}, {{ agent = "beat 1 uptime_ms=5 mem_free_kb=7" }},'
    return fake_machine(folder, f"{head}\nboot = [ {ready} {boot} ]\n[on]\n{on}")


def test_ready_describes_guest(tmp_path: Path) -> None:
    with played(tmp_path, head="split = true") as machine:
        assert machine.agent.wait_ready(Deadline(SOON)) is Wait.MET
        assert machine.agent.ready is not None
        assert machine.agent.ready.release == "5.10.0-fake"
        assert machine.agent.ready.spin_us == 10000


def test_requests_get_their_own_answers(tmp_path: Path) -> None:
    on = """
    exec = [{ agent = "out {id} {arg}" }, { agent = "out {id} " }, { agent = "end {id} exit:3" }]
    read = [{ agent = "err {id} no%20such%20file" }]
    """
    with played(tmp_path, on) as machine:
        done = machine.agent.run("exec", "/bin/a b%", deadline=Deadline(SOON))
        assert done.outs == ["/bin/a b%", ""]
        assert done.end is not None
        assert (done.end.how, done.end.number, done.end.well) == ("exit", 3, False)
        refused = machine.agent.run("read", "/x", deadline=Deadline(SOON))
        assert refused.answer is not None
        assert refused.answer.text == "no such file"
        assert machine.agent.call("write", "/a", "b", deadline=Deadline(SOON)).ok
        assert not machine.agent.call("nonsense", deadline=Deadline(SOON)).ok


def test_threads_do_not_mix_their_requests(tmp_path: Path) -> None:
    on = 'exec = [{ agent = "out {id} {arg}" }, { agent = "end {id} exit:0" }]'
    with played(tmp_path, on) as machine:
        heard: dict[int, list[str]] = {}

        def ask(number: int) -> None:
            word = f"{number}-" * 200
            heard[number] = machine.agent.run("exec", word, deadline=Deadline(SOON)).outs

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heard == {number: [f"{number}-" * 200] for number in range(8)}


def test_nonsense_is_counted_and_skipped(tmp_path: Path) -> None:
    boot = f"""
    {{ agent = "what" }}, {{ agent_hex = "ff000a" }}, {{ agent = "kmsg 1;2" }},
    {{ agent = "ok 999" }}, {{ agent = "kmsg 6,{{seq}},1;{"y" * 9000}" }},
    """
    with played(tmp_path, boot=boot) as machine, machine.agent.recording():
        assert machine.agent.call("write", "/a", "b", deadline=Deadline(SOON)).ok
        assert machine.agent.bad_lines == 3
        assert machine.agent.stray == 1
        assert machine.agent.last_record is not None
        assert 8000 < len(machine.agent.last_record.text) < 8192


def test_recording_keeps_records_and_counts_gaps(tmp_path: Path) -> None:
    on = """
    exec = [
        { agent = "kmsg 6,{seq},1000001;one" }, { skip = 3 },
        { agent = "kmsg 4,{seq},2500000;two\\\\x0amore" }, { agent = "end {id} exit:0" },
    ]
    """
    with played(tmp_path, on) as machine, machine.agent.recording() as recording:
        machine.agent.run("exec", "/x", deadline=Deadline(SOON))
        gap = Gap(1_000_001, 2_500_000, 3)
        assert recording.lines() == ["one", gap.mark, "two", "more"]
        assert machine.agent.gaps == [gap]
        assert recording.lost == 3
    assert (tmp_path / "kmsg.log").read_text().splitlines() == [
        "[    1.000001] one",
        "[harness: 3 records lost here]",
        "[    2.500000] two",
        "[    2.500000] more",
    ]


def test_a_mark_divides_the_log(tmp_path: Path) -> None:
    on = """
    exec = [{ agent = "kmsg 6,{seq},1;{arg}" }, { agent = "end {id} exit:0" }]
    """
    with played(tmp_path, on) as machine, machine.agent.recording() as recording:
        machine.agent.run("exec", "before", deadline=Deadline(SOON))
        place = machine.agent.mark("here", recording, Deadline(SOON))
        machine.agent.run("exec", "after", deadline=Deadline(SOON))
        assert place is not None
        assert [r.text for r in recording.records[:place]] == ["before"]
        assert [r.text for r in recording.records[place + 1 :]] == ["after"]


def test_a_kernel_without_a_writable_log_takes_no_mark(tmp_path: Path) -> None:
    on = '"write /dev/kmsg" = [{ agent = "err {id} no%20such%20file" }]'
    with (
        played(tmp_path, on, head="no_kmsg = true") as machine,
        machine.agent.recording() as recording,
    ):
        assert machine.agent.mark("here", recording, Deadline(SOON)) is None


def test_output_without_end_costs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_module, "OUTPUT_LIMIT", 100)
    monkeypatch.setattr(agent_module, "RECORDING_LIMIT", 100)
    many = ", ".join(
        [f'{{ agent = "out {{id}} {"x" * 40}" }}, {{ agent = "kmsg 6,{{seq}},1;{"k" * 40}" }}'] * 5
    )
    on = f'exec = [{many}, {{ agent = "end {{id}} exit:0" }}]'
    with played(tmp_path, on) as machine, machine.agent.recording() as recording:
        done = machine.agent.run("exec", "/x", deadline=Deadline(SOON))
        assert (len(done.outs), done.dropped) == (2, 3)
        assert (len(recording.records), recording.lost) == (2, 3)


@pytest.mark.parametrize(
    ("action", "how"),
    [
        ("{ exit = 0 }", Wait.GONE),
        ("{ exit = -6 }", Wait.GONE),
        ('{ close = "agent" }', Wait.CUT),
        ('{ console = "Kernel panic - not syncing: x\\r\\n" }, { exit = 0 }', Wait.GONE),
    ],
)
def test_wait_ends_with_guest(
    tmp_path: Path, action: str, how: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how is Wait.CUT:
        monkeypatch.setattr(reader, "CUT_GRACE_S", 0.05)
    with played(tmp_path, f"exec = [{action}]") as machine:
        with pytest.raises(NoAnswer) as caught:
            machine.agent.run("exec", "/x", deadline=Deadline.never())
        assert caught.value.how is how
        with pytest.raises(NoAnswer) as caught:
            machine.agent.call("write", "/a", "b", deadline=Deadline.never())
        assert caught.value.how is how


def test_call_to_silent_guest_is_late(tmp_path: Path) -> None:
    with played(tmp_path, "exec = []") as machine:
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="did not answer within 0 s") as caught:
            machine.agent.run("exec", "/x", deadline=Deadline(0.05))
        assert caught.value.how is Wait.LATE
        assert time.monotonic() - begun < SOON
        assert machine.agent.call("write", "/a", "b", deadline=Deadline(SOON)).ok


def test_a_late_answer_is_nobodys(tmp_path: Path) -> None:
    on = """
    exec = [
        { console = "waiting" }, { await = "console" },
        { agent = "out {id} late" }, { agent = "end {id} exit:0" },
    ]
    """
    with played(tmp_path, on) as machine:
        with pytest.raises(NoAnswer):
            machine.agent.run("exec", "/x", deadline=Deadline(0.05))
        machine.console.expect("waiting", Deadline(SOON))
        machine.console.send("go")
        assert machine.agent.call("write", "/a", "b", deadline=Deadline(SOON)).ok
        assert machine.agent.stray == 2


def test_started_program_is_heard_until_end(tmp_path: Path) -> None:
    on = """
    start = [
        { agent = "ok {id} pid=5" }, { agent = "out {id} starting" }, { agent = "out {id} go" },
    ]
    stop = [{ agent = "ok {id}" }, { agent = "end {arg} signal:15" }]
    """
    with played(tmp_path, on) as machine:
        asked = machine.agent.start("/load", deadline=Deadline(SOON))
        assert machine.agent.hear(asked, "go", Deadline(SOON)) is Wait.MET
        assert asked.outs == ["starting", "go"]
        assert machine.agent.hear(asked, "never", Deadline(0.05)) is Wait.LATE
        assert machine.agent.call("stop", str(asked.id), "5000", deadline=Deadline(SOON)).ok
        assert machine.agent.wait_end(asked, Deadline(SOON)) is Wait.MET
        assert str(asked.end) == "signal 15"


def test_started_program_that_fails_says_why(tmp_path: Path) -> None:
    with (
        played(tmp_path, 'start = [{ agent = "err {id} not%20found" }]') as machine,
        pytest.raises(GuestError, match="cannot start /load: not found"),
    ):
        machine.agent.start("/load", deadline=Deadline(SOON))


def test_a_request_too_long_for_the_protocol_is_our_error(tmp_path: Path) -> None:
    with played(tmp_path) as machine, pytest.raises(GuestError, match="cannot ask"):
        machine.agent.send("write", "/a", "x" * 9000)


def test_beats_are_noted(tmp_path: Path) -> None:
    with played(tmp_path) as machine:
        machine.vitals.wait(lambda: machine.agent.beat is not None, Deadline(SOON))
        assert machine.agent.beat is not None
        assert machine.agent.beat.mem_free_kb == 7
