# SPDX-License-Identifier: GPL-2.0-only
"""Real clones of real guests: each its own, and the template as it was, whatever they do."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from harness.arch import arch_names, load_arch
from harness.errors import GuestError
from harness.model import Plan
from harness.session import Guest, boot
from harness.stages import Workspace, bare_bench, guest_spec, make_kernel, prepare
from harness.store import sha256_of
from harness.template import Template, clone, make_template


@pytest.fixture(scope="module", params=arch_names())
def template(request: pytest.FixtureRequest, space: Workspace) -> Template:
    """The template of a guest of each architecture, with the whole series applied."""
    arch = load_arch(request.param)
    plan = Plan(arch=(arch.name,), positions=(4,))
    ready = prepare(plan, space)
    bench = bare_bench(ready, arch, make_kernel(ready, arch, 4, space), space)
    return make_template(guest_spec(plan, arch, bench, 128, "tcg"), space.store)


def work(guest: Guest) -> int:
    """Return the CPU time that the emulator took so far, in ticks: the same on a busy host."""
    stat = Path(f"/proc/{guest.pid}/stat").read_text().rpartition(")")[2].split()
    return int(stat[11]) + int(stat[12])


def test_a_clone_takes_a_part_of_the_work_of_a_boot(template: Template, tmp_path: Path) -> None:
    with boot(template.spec, tmp_path / "booted") as guest:
        booted = work(guest)
    with clone(template, tmp_path / "clone") as guest:
        assert work(guest) < booted / 2


def test_clones_differ_where_they_must(template: Template, tmp_path: Path) -> None:
    keys, ports, random = set(), set(), set()
    for name in ("a", "b"):
        with clone(template, tmp_path / name) as guest:
            seconds = guest.exec(["/bin/date", "+%s"]).lines[0]
            assert abs(int(seconds) - time.time()) < 30
            random.update(guest.exec(["/bin/od", "-An", "-tx1", "-N8", "/dev/urandom"]).lines)
            with guest.ssh() as ssh:
                ports.add(ssh.port)
                keys.add(ssh.host_key)
                assert ssh.run("uname -r").stdout.strip() == template.ready.release
    assert len(keys) == len(random) == 2
    assert 0 not in ports


def test_what_a_clone_writes_is_its_own(template: Template, tmp_path: Path) -> None:
    before = sha256_of(template.ram), sha256_of(template.state)
    with clone(template, tmp_path / "a") as first, clone(template, tmp_path / "b") as second:
        big = tmp_path / "big"
        big.write_bytes(os.urandom(4 * 2**20))
        first.put("/tmp/big", big)
        digest = hashlib.sha256(big.read_bytes()).hexdigest()
        assert first.exec(["/bin/busybox", "sha256sum", "/tmp/big"]).lines[0].startswith(digest)
        assert not second.exec(["/bin/cat", "/tmp/big"]).ok
        assert first.footprint_mib() > second.footprint_mib()
    assert (sha256_of(template.ram), sha256_of(template.state)) == before


def test_a_clone_killed_at_any_moment_leaves_its_template_whole(
    template: Template, tmp_path: Path
) -> None:
    before = sha256_of(template.ram), sha256_of(template.state)
    with clone(template, tmp_path / "a") as guest:
        os.kill(guest.pid, signal.SIGKILL)
        with pytest.raises(GuestError):
            guest.read("/proc/uptime")
    assert (sha256_of(template.ram), sha256_of(template.state)) == before
    with clone(template, tmp_path / "b") as guest:
        assert guest.read("/proc/uptime")


def test_a_file_that_cannot_be_written_says_why(template: Template, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    with clone(template, tmp_path / "a") as guest:
        with pytest.raises(GuestError, match="No such file or directory"):
            guest.put("/no/such/folder/file", file)
        guest.put("/tmp/file", file)  # the bytes of the first were not taken for requests
        assert guest.exec(["/bin/wc", "-c", "/tmp/file"]).lines[0].split()[0] == "100000"
