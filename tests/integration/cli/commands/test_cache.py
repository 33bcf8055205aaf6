# SPDX-License-Identifier: GPL-2.0-only
"""``harness cache`` on a cache that toy kernels were built in."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest

from harness.cache import lease
from harness.cache.inventory import UNTOUCHED_S, take_stock
from harness.cache.store import MANIFEST, STAMP
from harness.host.files import sha256_of
from harness.source.fetch import fetch
from harness.source.trees import FILE as CONTENTS
from tests.integration.cli.commands import Command, Lab, age, flip
from tests.integration.toy import (
    TOYKERNEL,
    VMALLOC,
    ignore,
)

# ---------------------------------------------------------------- show


def test_show_has_a_line_for_each_kind(lab: Lab, harness: Command) -> None:
    lab.store.put("brand-new-kind", "key", lambda into: (into / "file").touch() or None)
    for args in ((), ("show",)):
        lines = {line.split()[0]: line for line in harness(*args).stdout.splitlines() if line}
        for kind in ("sources", "headers", "kernel", "module", "work", "brand-new-kind", "total"):
            assert kind in lines
        assert lines["kernel"].split()[1] == "3"
        assert lines["headers"].split()[1] == "2"
        assert lines["kernel"].split()[-2] == time.strftime("%Y-%m-%d", time.localtime())


def test_show_json_adds_up_to_du(lab: Lab, harness: Command) -> None:
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
def test_show_has_statistics_of_ccache(harness: Command) -> None:
    counted = json.loads(harness("--json").stdout)["ccache"]
    assert counted["misses"] > 0
    assert counted["max_size"] == "2G"
    assert f"{counted['misses']} misses" in harness().stdout


def test_an_empty_cache_is_shown_and_is_clean(harness: Command) -> None:
    assert "total" in harness().stdout
    assert harness("verify").stdout == "0 entries, 0 damaged\n"
    harness("prune", "--size", "1G")


# ---------------------------------------------------------------- verify


def test_verify_clean_cache(lab: Lab, harness: Command) -> None:
    out = harness("verify").stdout
    assert out == f"{len(take_stock(lab.cache).items)} entries, 0 damaged\n"
    assert lab.kernel(2).reused


def test_verify_damaged_kernel_is_removed_and_made_again(lab: Lab, harness: Command) -> None:
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


def test_verify_keep_only_reports(lab: Lab, harness: Command) -> None:
    flip(lab.kernels[1].image)
    for _ in range(2):
        out = harness("verify", "--keep", code=1).stdout
        assert str(lab.kernels[1].path) in out
        assert "removed" not in out
    assert lab.kernels[1].path.exists()


@pytest.mark.parametrize("name", [MANIFEST, "System.map", "kit/.config"])
def test_verify_finds_damage_in_each_kind(lab: Lab, harness: Command, name: str) -> None:
    flip(lab.kernels[0].path / name)
    assert str(lab.kernels[0].path) in harness("verify", code=1).stdout


def test_verify_reads_again_what_was_verified(lab: Lab, harness: Command) -> None:
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


def test_verify_source_without_digests_gets_them(lab: Lab, harness: Command) -> None:
    contents = lab.tree.path.parent / CONTENTS
    contents.unlink()
    harness("verify")
    assert VMALLOC in json.loads(contents.read_text())
    flip(lab.tree.path / VMALLOC, keep_time=True)
    assert VMALLOC in harness("verify", code=1).stdout


def test_verify_damaged_download(lab: Lab, harness: Command) -> None:
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


def test_prune_without_a_limit_is_a_usage_error(lab: Lab, harness: Command) -> None:
    assert "--size 20G" in harness("prune", code=2).stderr
    assert "is no size" in harness("prune", "--size", "much", code=2).stderr
    assert lab.kernel(0).reused


def test_prune_dry_run_removes_nothing(lab: Lab, harness: Command) -> None:
    before = {item.path for item in take_stock(lab.cache).items}
    out = harness("prune", "--size", "0", "--dry-run", code=1).stdout  # locks and indexes stay
    assert f"would remove kernel {lab.kernels[0].path}" in out
    assert {item.path for item in take_stock(lab.cache).items} == before


def test_prune_removes_the_least_recently_used_first(lab: Lab, harness: Command) -> None:
    age(lab.kernels[1].path / MANIFEST, 20)
    out = harness("prune", "--older-than", "14d").stdout
    assert f"removed kernel {lab.kernels[1].path}" in out
    assert lab.entries("kernel") == {lab.kernels[0].key, lab.kernels[2].key}
    # The headers of kernel 1 are those of kernel 0, which stays.
    assert len(lab.entries("headers")) == 2
    assert lab.kernel(0).reused
    assert not lab.kernel(1).reused


def test_prune_entry_that_was_read_is_recently_used(lab: Lab, harness: Command) -> None:
    for kernel in lab.kernels:
        age(kernel.path / MANIFEST, 20)
    assert lab.kernel(2).reused
    lease.end_all()
    harness("prune", "--older-than", "14d")
    assert lab.entries("kernel") == {lab.kernels[2].key}


def test_prune_everything_is_made_again(lab: Lab, harness: Command) -> None:
    harness("prune", "--size", "0", code=1)
    assert take_stock(lab.cache).items == ()
    assert list(lab.cache.work.glob("[!.]*")) == []
    fetch(f"dir:{TOYKERNEL}", lab.cache, "", ignore)
    again = [lab.kernel(position) for position in lab.series.positions]
    assert [kernel.image_sha256 for kernel in again] == [k.image_sha256 for k in lab.kernels]
    assert lab.module().is_file()


def test_prune_leftovers_of_a_dead_process_after_a_day(lab: Lab, harness: Command) -> None:
    young, old = (lab.cache.store / ".new" / name for name in ("young", "old"))
    for folder in (young, old):
        folder.mkdir(parents=True)
    age(old, (UNTOUCHED_S + 60) / 86400)
    harness("prune", "--size", "0", code=1)
    assert young.exists()
    assert not old.exists()
