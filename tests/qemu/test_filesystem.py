# SPDX-License-Identifier: GPL-2.0-only
"""The file system of a load, once a guest let go of it: what its own check says is a verdict."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.model import Verdict
from harness.report.json import read_json
from tests.qemu.conftest import ROOT, Harness

# Leaves the file system alone until it is told to stop, and then writes over the disk below it.
SPOILER = r"""
#include "load.h"

static void spoil(void)
{
	static const char zeros[64 << 10];
	int fd = open("/dev/vda", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, zeros, sizeof(zeros), load.intensity << 10) != sizeof(zeros))
		load_fail("spoil");
	fsync(fd);
}

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
		.end = spoil,
	};

	return load_main(&kind, argc, argv);
}
"""
# In KiB: the second allocation group of four, and the inodes of the first block group.
SPOILED = {"xfs": 80 << 10, "ext4": 292}


@pytest.mark.parametrize("kind", sorted(SPOILED))
def test_a_broken_file_system_is_a_failure_of_the_kernel(
    harness: Harness, tmp_path: Path, kind: str
) -> None:
    root, out = tmp_path / "checkout", tmp_path / "run"
    for folder in ("kconfigs", "patches", "guest-tests"):
        shutil.copytree(ROOT / folder, root / folder)
    load = root / "guest-tests/loads/spoiler"
    load.mkdir()
    (load / "spoiler.c").write_text(SPOILER)
    (load / "load.toml").write_text(
        f'summary = "breaks its {kind}"\nintensity = "{SPOILED[kind]}"\n'
        f'disk_mib = 320\nfilesystem = "{kind}"\n[shows]\npgfault = "> 0"\n'
    )
    done = harness(
        *("--root", str(root), "run", "--out", str(out), "--arch", "x86_64", "--position", "4"),
        *("--config", "pressure", "--ram", "64M", "--test", "vmalloc-zero-leak"),
        *("--load", "spoiler"),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (cell,) = read_json(out).cells
    assert cell.verdict is Verdict.FAIL
    assert f"the {kind} of load spoiler is broken: see fsck-spoiler.txt" in cell.reason
    said = (out / dict(cell.evidence)["loads"]).parent / "fsck-spoiler.txt"
    assert said.stat().st_size > 0
    assert str(tmp_path) not in said.read_text()
