# SPDX-License-Identifier: GPL-2.0-only
"""``harness cache`` on a cache that toy kernels were built in, beside processes that use it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import kernel_kit, lease
from harness.build import build_kernel
from harness.cli import main
from harness.guest_build import build_modules
from harness.inventory import UNTOUCHED_S, take_stock
from harness.layout import Cache
from harness.model import Arch, Kernel, Series, SourceTree
from harness.source import fetch
from harness.source._contents import FILE as CONTENTS
from harness.store import MANIFEST, STAMP, Store, sha256_of
from tests.integration.toy import (
    HEADER,
    TOYKERNEL,
    VMALLOC,
    fragment,
    ignore,
    toy_arch,
    toy_test,
    toy_tree,
    two_patches,
)

ROOT = Path(__file__).resolve().parents[2]


class Done(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str


Command = Callable[..., Done]


class Lab:
    """A cache with a source, a work tree, three kernels, their headers, and a module."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = Cache(folder / "cache")
        for made in (folder / "include", folder / "tests"):
            shutil.rmtree(made, ignore_errors=True)
        self.tree: SourceTree = toy_tree(self.cache, monkeypatch)
        self.arch: Arch = toy_arch()
        self.series: Series = two_patches(folder / "toy")
        self.config = fragment(folder / "kconfigs", "base", "CONFIG_SWITCH=y\nCONFIG_MODULES=y\n")
        self.include = folder / "include"
        self.include.mkdir()
        (self.include / "shared.h").write_text("#define SHARED 7\n")
        self.test = toy_test(folder / "tests", "one")
        self.kernels = [self.kernel(position) for position in self.series.positions]
        self.module()
        # As the end of the process that built it would.
        lease.end_all()
        kernel_kit.forget_headers()

    @property
    def store(self) -> Store:
        return Store(self.cache.store)

    def kernel(self, position: int) -> Kernel:
        return build_kernel(
            self.tree, self.series, position, self.arch, (self.config,), self.cache, ignore
        )

    def module(self) -> Path:
        return build_modules(
            self.kernels[0], self.arch, (self.test,), self.include, self.cache, ignore
        )["one"]

    def entries(self, kind: str) -> set[str]:
        return {folder.name for folder in (self.cache.store / kind).glob("[!.]*")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything was built once."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Lab(folder, monkeypatch)
    return folder


@pytest.fixture
def lab(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A copy of it: links between its files stay links."""
    subprocess.run(("cp", "-a", f"{built}/.", tmp_path), check=True)
    return Lab(tmp_path, monkeypatch)


@pytest.fixture
def harness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run ``harness cache`` on the lab's cache, in this process, and check its exit code."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*args: str, code: int = 0) -> Done:
        capsys.readouterr()
        argv = ("--root", str(ROOT), "--cache", str(tmp_path / "cache"), "cache", *args)
        status = main(argv)
        done = Done(*capsys.readouterr())
        assert status == code, done
        return done

    yield run
    signal.signal(signal.SIGTERM, before)


def flip(file: Path, *, keep_time: bool = False) -> None:
    """Flip a bit of *file* in place: every hard link to it sees that."""
    before = file.stat()
    with file.open("r+b") as stream:
        byte = stream.read(1)[0]
        stream.seek(0)
        stream.write(bytes((byte ^ 1,)))
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def age(path: Path, days: float) -> None:
    past = time.time() - days * 86400
    os.utime(path, (past, past))


# ---------------------------------------------------------------- show


def test_show_has_a_line_for_every_kind_there_is(lab: Lab, harness: Command) -> None:
    lab.store.put("brand-new-kind", "key", lambda into: (into / "file").touch() or None)
    for args in ((), ("show",)):
        lines = {line.split()[0]: line for line in harness(*args).stdout.splitlines() if line}
        for kind in ("sources", "headers", "kernel", "module", "work", "brand-new-kind", "total"):
            assert kind in lines
        assert lines["kernel"].split()[1] == "3"
        assert lines["headers"].split()[1] == "2"
        assert lines["kernel"].split()[-2] == time.strftime("%Y-%m-%d", time.localtime())


def test_show_as_json_adds_up_to_what_du_says(lab: Lab, harness: Command) -> None:
    for args in (("--json",), ("show", "--json")):
        told = json.loads(harness(*args).stdout)
    kinds = {line["kind"]: line for line in told["kinds"]}
    assert kinds["kernel"]["entries"] == 3
    assert sum(k["bytes"] for k in kinds.values()) + told["other_bytes"] == told["total_bytes"]
    du = subprocess.run(
        ("du", "-s", "-B1", lab.cache.root), capture_output=True, text=True, check=True
    )
    assert told["total_bytes"] == int(du.stdout.split()[0])


@pytest.mark.skipif(shutil.which("ccache") is None, reason="no ccache on this host")
@pytest.mark.usefixtures("lab")
def test_show_tells_what_ccache_counted(harness: Command) -> None:
    counted = json.loads(harness("--json").stdout)["ccache"]
    assert counted["misses"] > 0
    assert counted["max_size"] == "2G"
    assert f"{counted['misses']} misses" in harness().stdout


def test_an_empty_cache_is_shown_and_is_clean(harness: Command) -> None:
    assert "total" in harness().stdout
    assert harness("verify").stdout == "0 entries, 0 damaged\n"
    harness("prune", "--size", "1G")


# ---------------------------------------------------------------- verify


def test_a_clean_cache_is_said_to_be_clean(lab: Lab, harness: Command) -> None:
    out = harness("verify").stdout
    assert out == f"{len(take_stock(lab.cache).items)} entries, 0 damaged\n"
    assert lab.kernel(2).reused


def test_a_damaged_kernel_is_reported_removed_and_made_again(lab: Lab, harness: Command) -> None:
    kernel = lab.kernels[1]
    flip(kernel.image, keep_time=True)
    out = harness("verify", code=1).stdout
    assert f"damaged: {kernel.path}: the content of Image is not what was written" in out
    assert "removed; it is made again when it is needed" in out
    assert "1 damaged" in out
    assert not kernel.path.exists()
    harness("verify")
    again = lab.kernel(1)
    assert not again.reused
    assert sha256_of(again.image) == kernel.image_sha256


def test_keep_only_reports(lab: Lab, harness: Command) -> None:
    flip(lab.kernels[1].image)
    for _ in range(2):
        out = harness("verify", "--keep", code=1).stdout
        assert str(lab.kernels[1].path) in out
        assert "removed" not in out
    assert lab.kernels[1].path.exists()


@pytest.mark.parametrize("name", [MANIFEST, "System.map", "kit/.config"])
def test_damage_is_found_wherever_it_is(lab: Lab, harness: Command, name: str) -> None:
    flip(lab.kernels[0].path / name)
    assert str(lab.kernels[0].path) in harness("verify", code=1).stdout


def test_what_was_verified_before_is_read_again(lab: Lab, harness: Command) -> None:
    """As a disk changes by itself: no time tells, and the stamp says that all is well."""
    kernel = lab.kernels[0]
    manifest = json.loads((kernel.path / MANIFEST).read_text())
    manifest["files"]["Image"][1] = "0" * 64
    (kernel.path / MANIFEST).write_text(json.dumps(manifest))
    (kernel.path / STAMP).write_text("{}")
    assert str(kernel.path) in harness("verify", code=1).stdout


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_link_to_a_pristine_file_written_in_place_damages_its_source(
    lab: Lab, harness: Command, keep_time: bool
) -> None:
    (work,) = lab.cache.work.glob("*/*/tree")
    pristine = lab.tree.path / "kernel/main.c"
    assert pristine.samefile(work / "kernel/main.c")
    flip(work / "kernel/main.c", keep_time=keep_time)
    out = harness("verify", code=1).stdout
    assert "the content of kernel/main.c is not what was unpacked" in out
    assert not lab.tree.path.exists()
    assert not work.exists()  # it shares the damaged file, and so may what was built there
    again = fetch(f"dir:{TOYKERNEL}", lab.cache, "", ignore)
    assert again.path == lab.tree.path
    assert pristine.read_bytes() == (TOYKERNEL / "kernel/main.c").read_bytes()
    harness("verify")
    assert lab.kernel(2).reused


def test_a_source_that_something_was_added_to_is_damaged(lab: Lab, harness: Command) -> None:
    (lab.tree.path / "mm/vmalloc.c.orig").touch()
    assert "a file was added, removed, or written to" in harness("verify", code=1).stdout


def test_a_source_of_before_is_taken_as_it_is_and_known_from_then_on(
    lab: Lab, harness: Command
) -> None:
    contents = lab.tree.path.parent / CONTENTS
    contents.unlink()
    harness("verify")
    assert VMALLOC in json.loads(contents.read_text())
    flip(lab.tree.path / VMALLOC, keep_time=True)
    assert VMALLOC in harness("verify", code=1).stdout


def test_a_damaged_download_is_found(lab: Lab, harness: Command) -> None:
    deb = lab.cache.downloads / "some.deb"
    digest = lab.cache.downloads / ".sha256" / "some.deb"
    digest.parent.mkdir(parents=True)
    deb.write_text("content")
    harness("verify")  # nobody knows what it should be
    digest.write_text(sha256_of(deb))
    harness("verify")
    flip(deb)
    assert str(deb) in harness("verify", code=1).stdout
    assert not deb.exists()


# ---------------------------------------------------------------- prune


def test_prune_wants_to_know_how_far(lab: Lab, harness: Command) -> None:
    assert "--size 20G" in harness("prune", code=2).stderr
    assert "is no size" in harness("prune", "--size", "much", code=2).stderr
    assert lab.kernel(0).reused


def test_a_dry_run_removes_nothing(lab: Lab, harness: Command) -> None:
    before = {item.path for item in take_stock(lab.cache).items}
    out = harness("prune", "--size", "0", "--dry-run", code=1).stdout  # locks and indexes stay
    assert f"would remove kernel {lab.kernels[0].path}" in out
    assert {item.path for item in take_stock(lab.cache).items} == before


def test_the_least_recently_used_goes_first(lab: Lab, harness: Command) -> None:
    age(lab.kernels[1].path / MANIFEST, 20)
    out = harness("prune", "--older-than", "14d").stdout
    assert f"removed kernel {lab.kernels[1].path}" in out
    assert lab.entries("kernel") == {lab.kernels[0].key, lab.kernels[2].key}
    # The headers of kernel 1 are those of kernel 0, which stays.
    assert len(lab.entries("headers")) == 2
    assert lab.kernel(0).reused
    assert not lab.kernel(1).reused


def test_getting_an_entry_makes_it_young(lab: Lab, harness: Command) -> None:
    for kernel in lab.kernels:
        age(kernel.path / MANIFEST, 20)
    assert lab.kernel(2).reused
    lease.end_all()
    harness("prune", "--older-than", "14d")
    assert lab.entries("kernel") == {lab.kernels[2].key}


def test_everything_may_go_and_is_made_again(lab: Lab, harness: Command) -> None:
    harness("prune", "--size", "0", code=1)
    assert take_stock(lab.cache).items == ()
    assert list(lab.cache.work.glob("[!.]*")) == []
    fetch(f"dir:{TOYKERNEL}", lab.cache, "", ignore)
    again = [lab.kernel(position) for position in lab.series.positions]
    assert [kernel.image_sha256 for kernel in again] == [k.image_sha256 for k in lab.kernels]
    assert lab.module().is_file()


def test_what_a_dead_process_left_half_done_goes_after_a_day(lab: Lab, harness: Command) -> None:
    young, old = (lab.cache.store / ".new" / name for name in ("young", "old"))
    for folder in (young, old):
        folder.mkdir(parents=True)
    age(old, (UNTOUCHED_S + 60) / 86400)
    harness("prune", "--size", "0", code=1)
    assert young.exists()
    assert not old.exists()


# ---------------------------------------------------------------- beside a run

# Gets a kernel and says so; at each line it is sent, tells whether the kernel is still whole.
READER = """
import sys
from pathlib import Path
from harness.store import Store

store = Store(Path(sys.argv[1]))
folder = store.get("kernel", sys.argv[2])
for _ in sys.stdin:
    whole = store.get("kernel", sys.argv[2], verify=True) == folder
    headers = (folder / "kit/source" / sys.argv[3]).is_file()
    print(whole and headers, flush=True)
"""


class Reader:
    """Another process that uses a kernel."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def sees_it_whole(self) -> bool:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "True\n"


@contextmanager
def reading(lab: Lab, kernel: Kernel) -> Iterator[Reader]:
    argv = (sys.executable, "-c", READER, str(lab.cache.store), kernel.key, HEADER)
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        reader = Reader(process)
        assert reader.sees_it_whole()
        yield reader


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_prune_takes_nothing_from_a_reader_until_it_is_gone(
    lab: Lab, harness: Command, how: signal.Signals
) -> None:
    used = lab.kernels[2]
    with reading(lab, used) as reader:
        out = harness("prune", "--size", "0", code=1).stdout
        assert "in use" in out
        assert lab.entries("kernel") == {used.key}
        assert lab.entries("headers") == {(used.kit / "source").readlink().parent.name}
        assert reader.sees_it_whole()
        reader.process.send_signal(how)
    harness("prune", "--size", "0", code=1)
    assert lab.entries("kernel") == lab.entries("headers") == set()


def test_damage_that_a_reader_uses_is_reported_and_left(lab: Lab, harness: Command) -> None:
    with reading(lab, lab.kernels[0]):
        flip(lab.kernels[0].image)
        assert "left: a running harness uses it" in harness("verify", code=1).stdout
        assert lab.kernels[0].path.exists()
    assert "removed" in harness("verify", code=1).stdout


# Fetches, builds and uses kernels over and over, each time as a process that has just begun.
RUN = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.integration.toy import TOYKERNEL, ignore, toy_arch
from harness import kernel_kit, lease
from harness.build import build_kernel
from harness.layout import Cache
from harness.series import load_series
from harness.source import fetch
from harness.store import sha256_of

os.environ["TOYKERNEL_PYTHON"] = sys.executable
folder = Path(sys.argv[1])
cache, arch = Cache(folder / "cache"), toy_arch()
series = load_series(folder / "toy", "5.10.99")
fragments = (folder / "kconfigs" / "base.config",)
for number in range(4):
    tree = fetch(f"dir:{TOYKERNEL}", cache, "", ignore)
    kernels = [build_kernel(tree, series, p, arch, fragments, cache, ignore) for p in (0, 1, 2)]
    for kernel in kernels:
        assert sha256_of(kernel.image) == kernel.image_sha256
        assert (kernel.kit / "source" / "Makefile").is_file()
    lease.end_all()
    kernel_kit.forget_headers()
"""


def test_runs_and_prunes_beside_each_other_never_fail(
    lab: Lab, harness: Command, tmp_path: Path
) -> None:
    argv = (sys.executable, "-c", RUN, str(tmp_path), str(ROOT))
    pruned = 0
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            pruned += harness("prune", "--size", "0", code=1).stdout.count("removed kernel")
        assert run.stderr is not None
        assert run.returncode == 0, run.stderr.read()
    assert pruned > 0
    fetch(f"dir:{TOYKERNEL}", lab.cache, "", ignore)
    assert lab.kernel(0).image_sha256 == lab.kernels[0].image_sha256
