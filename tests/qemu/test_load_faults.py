# SPDX-License-Identifier: GPL-2.0-only
"""Loads that the kernel fails: it breaks their file system, dies with them, or never ends them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.model.results import CellResult
from harness.model.values import Verdict
from harness.report.json import read_json
from tests.qemu.conftest import ROOT, Harness

# Waits until it is told to stop, and then does what FAULT says.
LOAD = r"""
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "load.h"

FAULT

static void work(unsigned int worker)
{
	(void)worker;
	for (;;)
		pause();
}

static bool on(void)
{
	return true;
}

int main(int argc, char **argv)
{
	static const struct load_kind kind = {
		.intensity = "KiB from the start of the disk",
		.least = 1,
		.most = 320 << 10,
		.workers = 1,
		.work = work,
		.on = on,
		.end = fault,
	};

	return load_main(&kind, argc, argv);
}
"""
SPOIL = """
static void fault(void)
{
	static const char zeros[64 << 10];
	int fd = open("/dev/vda", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, zeros, sizeof(zeros), load.intensity << 10) != sizeof(zeros))
		load_fail("spoil");
	fsync(fd);
}
"""
# A write to a frozen file system waits for its end, and no signal ends that.
FREEZE = """
static void fault(void)
{
	int fd = open(load.dir, O_RDONLY | O_CLOEXEC);

	if (chdir(load.dir) < 0 || ioctl(fd, FIFREEZE, 0) < 0)
		load_fail("freeze");
	open("file", O_WRONLY | O_CREAT, 0600);
}
"""
CRASH = """
static void fault(void)
{
	load_write("/proc/sysrq-trigger", "c");
}
"""
# SIGTERM came already, and is not what ends this.
DALLY = """
static void fault(void)
{
	for (;;)
		pause();
}
"""
# In a session of its own, where no signal to the load's group reaches it.
LEAVE = """
static void fault(void)
{
	if (chdir(load.dir) < 0)
		load_fail(load.dir);
	if (fork())
		return;
	setsid();
	for (;;)
		pause();
}
"""
# In KiB: the second allocation group of four, and the inodes of the first block group.
SPOILED = {"xfs": 80 << 10, "ext4": 292}
NONE = ""  # the default plan's kernels have no file system on a disk
on_a_disk = pytest.mark.slow("loads that are failed by XFS and ext4, on x86_64", minutes=8)


@pytest.fixture
def run_load(harness: Harness, tmp_path: Path) -> Callable[[str, str], tuple[CellResult, Path]]:
    """Run a cell under a load with that file system and fault; return it and its folder."""

    def run(kind: str, fault: str) -> tuple[CellResult, Path]:
        root, out = tmp_path / "checkout", tmp_path / "run"
        for folder in ("kconfigs", "patches", "guest-tests"):
            shutil.copytree(ROOT / folder, root / folder)
        load = root / "guest-tests/loads/faulty"
        load.mkdir()
        (load / "faulty.c").write_text(LOAD.replace("FAULT", fault))
        (load / "load.toml").write_text(
            f'summary = "fails"\nintensity = "{SPOILED.get(kind, 1)}"\n'
            + (f'disk_mib = 320\nfilesystem = "{kind}"\n' if kind else "")
            + '[shows]\npgfault = "> 0"\n'
        )
        done = harness(
            *("--root", str(root), "run", "--out", str(out), "--arch", "x86_64"),
            *("--position", "4", "--ram", "64M", "--test", "vmalloc-zero-leak"),
            *("--load", "faulty", *(("--config", "pressure") if kind else ())),
        )
        assert done.returncode in (1, 3), done.stdout + done.stderr
        (cell,) = read_json(out).cells
        return cell, (out / dict(cell.evidence)["loads"]).parent

    return run


@on_a_disk
@pytest.mark.parametrize("kind", sorted(SPOILED))
def test_a_broken_file_system_is_a_failure_of_the_kernel(
    run_load: Callable[[str, str], tuple[CellResult, Path]], tmp_path: Path, kind: str
) -> None:
    cell, folder = run_load(kind, SPOIL)
    assert cell.verdict is Verdict.FAIL
    assert f"the {kind} of load faulty is broken: see fsck-faulty.txt" in cell.reason
    said = (folder / "fsck-faulty.txt").read_text()
    assert said
    assert str(tmp_path) not in said


@on_a_disk
def test_a_load_that_nothing_ends_is_a_failure_of_the_kernel(
    run_load: Callable[[str, str], tuple[CellResult, Path]],
) -> None:
    cell, folder = run_load("ext4", FREEZE)
    assert cell.verdict is Verdict.FAIL
    # On a slow host the kernel's own watch over hung tasks is sooner.
    assert re.search(
        r"load faulty is stuck in the kernel: killed, it did not end within"
        r"|the kernel died while load faulty was stopped: .*(?:hung|blocked)",
        cell.reason,
    )
    assert "is broken" not in cell.reason
    console = (folder / "console.log").read_bytes()
    assert b"task:faulty" in console


def test_a_kernel_that_dies_as_its_load_ends_has_failed(
    run_load: Callable[[str, str], tuple[CellResult, Path]],
) -> None:
    cell, folder = run_load(NONE, CRASH)
    assert cell.verdict is Verdict.FAIL
    assert "the kernel died while load faulty was stopped: " in cell.reason
    assert "sysrq triggered crash" in cell.reason
    assert "sysrq triggered crash" in (folder / "around.log").read_text()


def test_a_load_is_killed_no_sooner_than_it_was_told(
    run_load: Callable[[str, str], tuple[CellResult, Path]],
) -> None:
    cell, _ = run_load(NONE, DALLY)
    assert cell.verdict is Verdict.ERROR
    assert re.search(
        r"load faulty was stopped and ended with signal 9: \d\d+ s after SIGTERM it", cell.reason
    )


@on_a_disk
def test_a_file_system_that_a_load_keeps_busy_is_none_of_the_kernels(
    run_load: Callable[[str, str], tuple[CellResult, Path]],
) -> None:
    cell, _ = run_load("ext4", LEAVE)
    assert cell.verdict is Verdict.MISS
    assert "the ext4 of load faulty cannot be unmounted: " in cell.reason
