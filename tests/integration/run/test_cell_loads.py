# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel does around its loads: while they are prepared, started, stopped, unmounted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.cache.store import Store
from harness.guest.guest import Executed, Guest, boot
from harness.model.results import CellResult
from harness.model.values import Cell, GuestTest, Kernel, Load, Series, Verdict
from harness.plan.loads import Pressure
from harness.run import cell_loads
from harness.run.cell import CellJob, observe, run_cell
from harness.run.cell_loads import CellLoad
from harness.run.folder import RunFolder
from harness.run.scratch_fs import Checked
from tests.integration.fakeqemu import fake_guest, on

PASS, FAIL, ERROR, MISS = Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.MISS

# A load is started by the seventh request; the sampler has a stop of its own.
STOP = "stop 7"
# What is asked of a guest whose loads come and go as they should: verb, and what it is about.
GOES_WELL = {
    "read /sys/block/vda/serial": '{ agent = "out {id} scratch-0" }, { agent = "end {id} exit:0" }',
    "insmod /harness/modules/sweep_test.ko": (
        '{ agent = "kmsg 6,{seq},2000000;    # Subtest: sweep" },'
        '{ agent = "kmsg 6,{seq},2000001;    1..1" },'
        '{ agent = "kmsg 6,{seq},2000002;    ok 1 - a" },'
        '{ agent = "kmsg 6,{seq},2000003;ok 1 - sweep" },'
        '{ agent = "end {id} exit:0 ms=3" }'
    ),
    "insmod": '{ agent = "end {id} exit:0" }',
    "start": '{ agent = "ok {id} pid=9" }, { agent = "out {id} ready" }',
    STOP: '{ agent = "ok {id}" }, { agent = "end {arg} exit:0" }',
    "exec": '{ agent = "end {id} exit:0" }',
    "write /proc/sysrq-trigger": (
        '{ agent = "kmsg 6,{seq},9000000;task:storm state:D" }, { agent = "ok {id}" }'
    ),
}
PANIC = (
    '{ console = "[    9.000001] kernel BUG at fs/demo.c:7!\\r\\n" },'
    '{ console = "[    9.000002] Kernel panic - not syncing: Fatal exception\\r\\n" }, { exit = 0 }'
)
WARNING = (
    '{ agent = "kmsg 4,{seq},9000000;WARNING: CPU: 0 PID: 7 at fs/demo.c:7 demo_put+0x31/0x40" }'
)
ENDS = '{ agent = "end {id} exit:0" }'
BUSY = '{ agent = "out {id} umount: Device or resource busy" }, { agent = "end {id} exit:1" }'
HANGS = {"hello": ""}
KILLED = '{ agent = "ok {id}" }, { nap = 0.5 }, { agent = "end {arg} signal:9" }'
STORM, MODULE = "storm", "hog"

Run = Callable[..., CellResult]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def sound() -> list[Checked]:
    """What the check of the file system finds."""
    return [Checked(True, "clean")]


@pytest.fixture
def run(tmp_path: Path, store: Store, sound: list[Checked], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a cell under a load, in a guest that answers some requests with *what*."""
    monkeypatch.setattr(cell_loads, "make_filesystem", lambda *_: None)
    monkeypatch.setattr(cell_loads, "check_filesystem", lambda *_: sound[0])

    def run(
        what: dict[str, str],
        load: str = STORM,
        *,
        ready_s: float = 20.0,
        hasty: Sequence[str] = (),
        shows: tuple[tuple[str, str], ...] = (),
    ) -> CellResult:
        for name in hasty:
            monkeypatch.setattr(f"harness.{name}", 0.3)
        actions = "\n".join(f'"{verb}" = [{said}]' for verb, said in (GOES_WELL | what).items())
        (program := tmp_path / "program").write_bytes(b"program")
        for name in ("test.toml", "load.toml"):
            (tmp_path / name).write_text("")
        kind = Load(load, tmp_path, "", ready_timeout_s=ready_s, shows=shows)
        if load == STORM:
            kind = replace(kind, disk_mib=1, filesystem="ext4")
        else:
            kind = replace(kind, module=load)
        applied = CellLoad(kind, Pressure(load), program, 0 if load == STORM else None)
        nobody = tmp_path / "nobody"
        job = CellJob(
            cell=Cell("x86_64", "debian:5.10", 0, (), 64, "sweep", load),
            test=GuestTest("sweep", tmp_path, "", module="sweep_test", suite="sweep"),
            loads=(applied,),
            series=Series("none", "", tmp_path, "5.10", (), ()),
            kernel=Kernel(
                *("x86_64", "5.10", 0, "", nobody, nobody, "", nobody, "", nobody, nobody),
                *("", (), 0.0, False),
            ),
            spec=replace(fake_guest(tmp_path, on(actions)), disks_mib=(1,)),
            module=program,
            qemu_version="fake",
        )
        return run_cell(job, RunFolder(tmp_path / "run"), store, partial(observe, guests=boot))

    return run


def file_of(result: CellResult, tmp_path: Path, name: str) -> str:
    return (tmp_path / "run" / dict(result.evidence)[name]).read_text()


# ---------------------------------------------------------------- nothing wrong


@pytest.mark.parametrize("load", [STORM, MODULE])
def test_cell_with_sound_load_has_verdict_of_test(run: Run, load: str) -> None:
    result = run({}, load)
    assert (result.verdict, result.reason, result.anomalies) == (PASS, "1 of 1 cases passed", ())
    assert "around" not in dict(result.evidence)
    assert run({}, load).reused


# ---------------------------------------------------------------- the kernel


@pytest.mark.parametrize(
    ("verb", "when"),
    [
        ("put", "before the test"),
        ("read /sys/block/vda/serial", "while load storm was prepared"),
        ("exec /bin/mount", "while load storm was prepared"),
        ("start", "while load storm was started"),
        (STOP, "while load storm was stopped"),
        ("exec /bin/umount", "while the ext4 of load storm was unmounted"),
    ],
)
def test_death_around_load_is_fail(run: Run, tmp_path: Path, verb: str, when: str) -> None:
    result = run({verb: PANIC})
    assert result.verdict is FAIL
    assert f"the kernel died {when}: kernel BUG (fs/demo.c)" in result.reason
    assert [splat.when for splat in result.splats] == [when]
    log = file_of(result, tmp_path, "around").splitlines()
    assert "kernel BUG at fs/demo.c:7!" in log[result.splats[0].line - 1]
    assert run({verb: PANIC}).reused


@pytest.mark.parametrize(
    ("verb", "hasty", "when"),
    [
        ("read /sys/block/vda/serial", "guest.guest.ANSWER_S", "while load storm was prepared"),
        ("exec /bin/mount", "run.cell_loads.COMMAND_S", "while load storm was prepared"),
        ("start", "", "while load storm was started"),
        (STOP, "run.load.STOP_S", "while load storm was stopped"),
        (
            "exec /bin/umount",
            "run.cell_loads.UNMOUNT_S",
            "while the ext4 of load storm was unmounted",
        ),
    ],
)
def test_hang_around_load_is_fail(run: Run, verb: str, hasty: str, when: str) -> None:
    names = [*filter(None, [hasty]), "guest.phase_log.ANSWER_S"]
    result = run({verb: "", **HANGS}, ready_s=0.3 if verb == "start" else 20.0, hasty=names)
    assert result.verdict is FAIL
    assert f"no answer {when}: " in result.reason
    again = run({verb: "", **HANGS}, ready_s=0.3 if verb == "start" else 20.0)
    assert not again.reused  # the host may have been to blame


def test_death_while_load_ends_is_fail(run: Run) -> None:
    """As of hung_task_panic, which may be sooner than the load is found to be stuck."""
    result = run({STOP: f'{{ agent = "ok {{id}}" }}, {{ nap = 0.3 }}, {PANIC}'})
    assert result.verdict is FAIL
    assert "the kernel died while load storm was stopped: kernel BUG" in result.reason


def test_reset_without_request_is_fail(run: Run) -> None:
    result = run(
        {"exec /bin/umount": "", "hello": "{ exit = 0 }"},
        hasty=("run.cell_loads.UNMOUNT_S",),
    )
    assert result.verdict is FAIL
    said = "was unmounted: '/bin/umount /tmp/storm' is stuck"
    assert f"the kernel died while the ext4 of load storm {said}" in result.reason
    assert "the guest reset or powered off" in result.reason


def test_death_in_load_module_is_fail(run: Run) -> None:
    result = run({"rmmod hog": PANIC}, MODULE)
    assert result.verdict is FAIL
    assert "the kernel died while load hog was stopped: kernel BUG" in result.reason


def test_death_between_requests_is_fail(run: Run) -> None:
    result = run({"exec /bin/umount": f"{ENDS}, {PANIC}"})
    assert result.verdict is FAIL
    assert "the kernel died " in result.reason


@pytest.mark.parametrize(
    ("verb", "said", "when"),
    [
        ("exec /bin/mount", ENDS, "while load storm was prepared"),
        (STOP, GOES_WELL[STOP], "while load storm was stopped"),
        ("exec /bin/umount", ENDS, "while the ext4 of load storm was unmounted"),
    ],
)
def test_splat_around_load_is_judged(run: Run, verb: str, said: str, when: str) -> None:
    result = run({verb: f"{WARNING}, {said}"})
    assert result.verdict is FAIL
    assert result.reason == f"WARNING in demo_put (fs/demo.c), {when}"
    assert [case.verdict for case in result.cases] == [PASS]


def test_splat_around_load_lost_by_log_is_judged(run: Run) -> None:
    console = WARNING.partition(";")[2].removesuffix('" }')
    gap = (
        '{ agent = "kmsg 6,{seq},9000000;zram0: gone" }, { skip = 1 },'
        f'{{ console = "[    9.000500] {console}\\r\\n" }},'
        '{ agent = "kmsg 6,{seq},9001000;bye" }, { console = "[    9.001000] bye\\r\\n" },'
    )
    result = run({STOP: gap + GOES_WELL[STOP]})
    assert result.verdict is FAIL
    assert "WARNING in demo_put (fs/demo.c), while load storm was stopped" in result.reason


def test_splat_before_untried_test_is_judged(run: Run) -> None:
    result = run({"exec /bin/mount": f"{WARNING}, {{ agent = 'end {{id}} exit:1' }}"})
    assert result.verdict is FAIL
    assert "load storm: /bin/mount failed" in result.reason
    assert "WARNING in demo_put (fs/demo.c), while load storm was prepared" in result.reason


@pytest.mark.parametrize(
    ("verb", "load", "what"),
    [
        (
            "exec /bin/mount",
            STORM,
            "'/bin/mount -t ext4 /dev/vda /tmp/storm' is stuck in the kernel",
        ),
        ("exec /bin/umount", STORM, "'/bin/umount /tmp/storm' is stuck in the kernel"),
        ("rmmod hog", MODULE, "load hog is stuck in the kernel: its module was not unloaded"),
    ],
)
def test_stuck_program_in_answering_guest_is_fail(
    run: Run, tmp_path: Path, verb: str, load: str, what: str
) -> None:
    hasty = ("run.cell_loads.COMMAND_S", "run.cell_loads.UNMOUNT_S", "run.load.REMOVE_S")
    result = run({verb: ""}, load, hasty=hasty)
    assert result.verdict is FAIL
    assert what in result.reason
    assert "task:storm state:D" in file_of(result, tmp_path, "kmsg")
    assert "task:storm" not in file_of(result, tmp_path, "around")


def test_load_that_survives_sigkill_is_fail(run: Run, tmp_path: Path) -> None:
    hasty = ("run.load.TERM_S", "run.load.KILLED_S")
    result = run({STOP: '{ agent = "ok {id}" }'}, hasty=hasty)
    assert result.verdict is FAIL
    assert "load storm is stuck in the kernel: killed, it did not end within" in result.reason
    assert "task:storm state:D" in file_of(result, tmp_path, "kmsg")


def test_killed_load_keeping_mount_busy_is_fail(run: Run) -> None:
    result = run(
        {STOP: KILLED, "exec /bin/umount": BUSY}, hasty=("run.load.TERM_S", "run.cell_loads.BUSY_S")
    )
    assert result.verdict is FAIL
    assert "what was killed of load storm is stuck in the kernel: its ext4 is busy" in result.reason


# ---------------------------------------------------------------- file systems


NOT_READY = '{ agent = "ok {id}" }, { agent = "out {id} EUCLEAN" }, { agent = "end {id} exit:1" }'


def test_unsound_file_system_of_unready_load_is_fail(
    run: Run, tmp_path: Path, sound: list[Checked]
) -> None:
    sound[0] = Checked(False, "bad block")
    result = run({"start": NOT_READY})
    assert result.verdict is FAIL
    assert "load storm ended before it was ready: exit 1: EUCLEAN" in result.reason
    assert "the ext4 of load storm is broken: see fsck-storm.txt" in result.reason
    assert "storm: EUCLEAN\n" in file_of(result, tmp_path, "loads")
    assert file_of(result, tmp_path, "fsck-storm") == "bad block"


def test_unmount_waits_for_leftovers_of_broken_load(
    run: Run, sound: list[Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, busy = Guest.exec, Executed(("umount: Resource busy",), "exit", 1)
    tries = [busy, busy]

    def execute(guest: Guest, argv: Sequence[str], timeout_s: float) -> Executed:
        if argv[0] == "/bin/umount" and tries:
            return tries.pop()
        return ask(guest, argv, timeout_s)

    monkeypatch.setattr(Guest, "exec", execute)
    monkeypatch.setattr(cell_loads, "LINGER_S", 0.0)
    sound[0] = Checked(False, "bad block")
    result = run({"start": NOT_READY})
    assert result.verdict is FAIL
    assert "the ext4 of load storm is broken" in result.reason


def test_load_never_ready_is_stopped_and_no_fail(run: Run, tmp_path: Path) -> None:
    result = run({"start": '{ agent = "ok {id}" }'}, ready_s=0.3)
    assert result.verdict is MISS
    assert result.reason == "load storm: not ready within 0 s, in a guest that answers"
    assert "its ext4 is sound" in file_of(result, tmp_path, "loads")
    assert not run({"start": '{ agent = "ok {id}" }'}, ready_s=0.3).reused


def test_file_system_check_without_result_is_miss(run: Run, sound: list[Checked]) -> None:
    sound[0] = Checked(None, "", "its check did not end within 120 s")
    result = run({})
    assert result.verdict is MISS
    assert "ext4 of load storm was not checked: its check did not end within 120 s" in result.reason
    assert not run({}).reused


# ---------------------------------------------------------------- ours


def test_mount_kept_busy_by_harness_is_miss(run: Run) -> None:
    result = run({"exec /bin/umount": BUSY}, hasty=("run.cell_loads.LINGER_S",))
    assert result.verdict is MISS
    assert "the ext4 of load storm cannot be unmounted: umount: Device or" in result.reason
    assert not run({"exec /bin/umount": BUSY}).reused


def test_death_of_emulator_around_load_is_miss(run: Run) -> None:
    result = run({STOP: "{ exit = 1 }"})
    assert result.verdict is MISS
    assert "while load storm was stopped" in result.reason
    assert not run({STOP: "{ exit = 1 }"}).reused


def test_load_ended_by_sigkill_is_error(run: Run) -> None:
    result = run({STOP: KILLED}, hasty=("run.load.TERM_S",))
    assert result.verdict is ERROR
    assert "load storm was stopped and ended with signal 9: 0 s after SIGTERM it" in result.reason
    assert not run({STOP: KILLED}).reused


def test_load_with_bad_exit_is_error(run: Run) -> None:
    result = run({STOP: '{ agent = "ok {id}" }, { agent = "end {arg} exit:1" }'})
    assert result.verdict is ERROR
    assert result.reason == "load storm was stopped and ended with exit 1"


# ---------------------------------------------------------------- counters


@pytest.mark.parametrize(
    ("figures", "note"),
    [
        ([0, 200, 50, 50, 150], ""),
        ([0, 200, 50], "load storm did not show nr_mlock is > 100: 0 before, 50 under it"),
    ],
)
def test_load_counter_may_refill_after_test(
    run: Run,
    tmp_path: Path,
    figures: list[int],
    note: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the load, once it is on, and from the end of the test on; the last one stays."""
    read, left = Guest.read, list(figures)

    def counters(guest: Guest, path: str) -> str:
        if path != "/proc/vmstat":
            return read(guest, path)
        return f"nr_mlock {left.pop(0) if len(left) > 1 else left[0]}\n"

    monkeypatch.setattr(Guest, "read", counters)
    hasty = ("run.cell_loads.REFILL_S",) if note else ()
    result = run({}, shows=(("nr_mlock", "is > 100"),), hasty=hasty)
    assert result.verdict is PASS
    assert result.reason.partition("; ")[2] == note
    assert (": shown" in file_of(result, tmp_path, "loads")) is (not note)
