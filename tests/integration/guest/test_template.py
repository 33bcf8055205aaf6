# SPDX-License-Identifier: GPL-2.0-only
"""Templates and clones, against a QEMU that saves and resumes what its scenario says."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cache.store import Store
from harness.guest.capacity import Capacity
from harness.guest.guest import BootFailure, boot
from harness.guest.template import KIND, Templates, clone, make_template, template_key
from harness.host import process
from harness.model.errors import GuestError, Interrupted
from harness.model.events import Event, Note
from harness.model.values import GuestSpec
from tests.integration.fakeqemu import BOOTS, READY, fake_guest

NUMBERED = (
    BOOTS
    + """
[on]
wake = [{ agent = "ok {id}" }]
read = [{ agent = "out {id} {arg}" }, { agent = "end {id} exit:0" }]
"""
)


class Bench:
    """A store, and the templates that a run would use of it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store")
        self.told: list[Event] = []
        self.templates = Templates(self.store, Capacity(2, 1), self.told.append)

    def kept(self) -> int:
        return len(list((self.store.root / KIND).glob("*")))

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.told if isinstance(event, Note)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_templates_give_clones_of_one_boot(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, NUMBERED)
    for number in range(3):
        folder = tmp_path / f"cell{number}"
        with bench.templates.guest(spec, folder) as guest:
            assert (guest.origin, guest.why_cold) == ("clone", "")
            assert guest.ready.release == "5.10.0-fake"
            assert guest.read("/x") == "/x\n"
        assert "Linux version" in (folder / "boot-console.log").read_text()
        assert "-kernel" in (folder / "boot-argv.txt").read_text()
        assert "-incoming defer" in (folder / "argv.txt").read_text()
        assert (folder / "console.log").read_bytes() == b""
    assert bench.kept() == 1
    assert bench.warnings == []


def test_make_template_again_comes_from_store(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, NUMBERED)
    first = make_template(spec, bench.store)
    assert make_template(spec, bench.store) == first
    assert bench.kept() == 1


def test_template_wanted_by_threads_is_made_once(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, NUMBERED)
    threads = [threading.Thread(target=bench.templates.warm, args=(spec,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.kept() == 1
    assert bench.warnings == []


@pytest.mark.parametrize(
    "changes",
    [
        {"content": "another kernel"},
        {"ram_mib": 96},
        {"cpus": 2},
        {"cmdline": ("quiet",)},
        {"network": False},
        {"disks_mib": (8,)},
    ],
)
def test_template_key_changes_with_spec(tmp_path: Path, changes: dict[str, object]) -> None:
    spec = fake_guest(tmp_path, NUMBERED)
    assert template_key(replace(spec, **changes)) != template_key(spec)  # type: ignore[arg-type]


def test_template_key_ignores_path_of_kernel(tmp_path: Path) -> None:
    spec = fake_guest(tmp_path, NUMBERED)
    assert template_key(replace(spec, kernel=tmp_path / "elsewhere")) == template_key(spec)


def test_guest_that_cannot_be_saved_is_booted_with_reason(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, f"unsavable = true\n{NUMBERED}")
    for _ in range(2):
        with bench.templates.guest(spec, tmp_path / "cell") as guest:
            assert guest.origin == "cold"
            assert "not this one" in guest.why_cold
    assert bench.kept() == 0
    assert len(bench.warnings) == 1


def test_clone_without_answer_is_replaced_by_boot(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, f"clone = [{{ stderr = 'bad state' }}, {{ exit = 1 }}]\n{NUMBERED}")
    with bench.templates.guest(spec, tmp_path / "cell") as guest:
        assert guest.origin == "cold"
        assert "bad state" in guest.why_cold
        assert guest.read("/x") == "/x\n"
    assert len(bench.warnings) == 1


def test_guest_while_stopping_is_neither_cloned_nor_booted(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, NUMBERED)
    with (
        process.stop_all(),
        pytest.raises(Interrupted),
        bench.templates.guest(spec, tmp_path / "cell"),
    ):
        pass
    assert not (tmp_path / "cell").exists()
    assert bench.kept() == 0


def test_clone_that_dies_names_emulator(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, f"clone = [{{ stderr = 'bad state' }}, {{ exit = 1 }}]\n{NUMBERED}")
    template = make_template(spec, bench.store)
    with pytest.raises(GuestError, match="exit 1: bad state"), clone(template, tmp_path / "c"):
        pass


def test_template_of_panicking_kernel_is_boot_failure(tmp_path: Path, bench: Bench) -> None:
    panics = 'boot = [{ console = "Kernel panic - not syncing: no\\r\\n" }, { exit = 0 }]'
    spec = fake_guest(tmp_path, panics)
    for _ in range(2):
        with (
            pytest.raises(BootFailure, match="does not boot: panic: no"),
            bench.templates.guest(spec, tmp_path / "cell"),
        ):
            pass
    assert bench.kept() == 0


def test_kernel_that_dies_twice_is_booted_no_third_time(tmp_path: Path, bench: Bench) -> None:
    spec = fake_guest(tmp_path, 'boot = [{ console = "so far\\r\\n" }, { exit = 0 }]')
    failures = []
    for name in ("a", "b"):
        with (
            pytest.raises(BootFailure, match="does not boot: reset") as caught,
            bench.templates.guest(spec, tmp_path / name),
        ):
            pass
        failures.append(caught.value)
        assert (tmp_path / name / "console.log").read_text() == "so far\n"
        assert (tmp_path / name / "early-console.log").read_text() == "so far\n"
        assert not (tmp_path / name / "argv.txt").exists()  # it was not booted here
    assert failures[0] is failures[1]
    assert failures[0].death.again
    assert failures[0].death.attributable
    assert bench.warnings == ["x86_64, 64 MiB: the kernel does not boot: reset"]


def test_kernel_that_dies_once_is_booted_again(tmp_path: Path, bench: Bench) -> None:
    dead = fake_guest(tmp_path, "boot = [{ exit = 0 }]")
    alive = replace(dead, content="", arch=replace(dead.arch, early_console=("early",)))
    with (
        pytest.raises(BootFailure) as caught,
        bench.templates.guest(alive, tmp_path / "cell"),
    ):
        pass
    assert caught.value.death.seconds > 0
    assert "early" in (tmp_path / "cell" / "registers.txt").read_text()
    assert "early" not in (tmp_path / "cell" / "argv.txt").read_text()


def test_guest_of_unknown_content_is_booted(tmp_path: Path, bench: Bench) -> None:
    spec = replace(fake_guest(tmp_path, NUMBERED), content="")
    with bench.templates.guest(spec, tmp_path / "cell") as guest:
        assert (guest.origin, guest.why_cold) == ("cold", "")
    assert bench.warnings == []


def test_scratch_disks_are_empty_and_go_with_their_guest(tmp_path: Path, bench: Bench) -> None:
    spec: GuestSpec = replace(fake_guest(tmp_path, NUMBERED), disks_mib=(8, 4))
    with bench.templates.guest(spec, tmp_path / "cell") as guest:
        assert guest.origin == "clone"
        disks = [tmp_path / "cell" / f"scratch-{number}.img" for number in (0, 1)]
        assert [disk.stat().st_size for disk in disks] == [8 * 2**20, 4 * 2**20]
        assert all(f"file={disk}" in " ".join(guest.argv) for disk in disks)
    assert not any(disk.exists() for disk in disks)


def test_put_keeps_exec_bit(tmp_path: Path) -> None:
    script = f"""boot = [{{ agent = "{READY}" }}]
    [on]
    put = [{{ agent = "kmsg 6,{{seq}},1;{{arg}}" }}, {{ agent = "ok {{id}}" }}]
    """
    file = tmp_path / "program"
    file.write_bytes(b"\x7fELF\nput 1 2 3\n")
    with boot(fake_guest(tmp_path, script), tmp_path / "cell") as guest:
        guest.put("/harness/loads/program", file)
        guest.hello()
    assert "%7FELF%0Aput%201%202%203%0A" in (tmp_path / "cell" / "kmsg.log").read_text()
