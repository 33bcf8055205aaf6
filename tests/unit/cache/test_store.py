# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cache import store as store_module
from harness.cache.store import Store, digest_kept, hold, last_used
from harness.host.files import digest_files
from harness.model.errors import InfraError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def filler(text: str = "content") -> Callable[[Path], None]:
    def fill(into: Path) -> None:
        (into / "sub").mkdir()
        (into / "sub" / "file").write_text(text)
        (into / "link").symlink_to("sub/file")

    return fill


def test_put_entry_can_be_got(store: Store) -> None:
    assert store.get("kind", "key") is None
    folder = store.put("kind", "key", filler())
    assert store.get("kind", "key") == folder
    assert (folder / "sub" / "file").read_text() == "content"
    assert (folder / "link").read_text() == "content"
    assert store.get("other", "key") is None


@pytest.mark.parametrize("how", [KeyboardInterrupt, RuntimeError, InfraError])
def test_interrupted_put_leaves_nothing(store: Store, how: type[BaseException]) -> None:
    def dies(into: Path) -> None:
        (into / "half").write_text("half")
        raise how("now")

    with pytest.raises(how):
        store.put("kind", "key", dies)
    assert store.get("kind", "key") is None
    assert list(store.root.rglob("half")) == []


def test_crash_before_the_rename_shows_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a SIGKILL: the folder that was being filled stays behind.
    monkeypatch.setattr(store_module, "_place", lambda *_: None)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    store.put("kind", "key", filler("half"))
    monkeypatch.undo()
    assert list(store.root.rglob("file")) != []
    assert store.get("kind", "key") is None
    store.put("kind", "key", filler("whole"))
    assert store.get("kind", "key") is not None


def test_leftovers_older_than_a_day_are_swept(store: Store) -> None:
    old = store.root / ".new" / "left"
    young = store.root / ".new" / "filling"
    old.mkdir(parents=True)
    young.mkdir()
    past = time.time() - 2 * 24 * 3600
    os.utime(old, (past, past))
    store.put("kind", "key", filler())
    assert not old.exists()
    assert young.exists()


def test_second_put_of_a_key_keeps_the_first(store: Store) -> None:
    def late(into: Path) -> None:
        filler("late")(into)
        store.put("kind", "key", filler("early"))

    folder = store.put("kind", "key", late)
    assert (folder / "sub" / "file").read_text() == "early"


def test_digest_kept_leaves_out_files_beside_the_manifest(store: Store) -> None:
    """Modules are built in a kernel's kit, where make has files of its own for a moment."""
    first = store.put("kind", "a", filler("same")) / "sub"
    before = digest_kept(first)
    (first / ".tmp_1").write_text("make's")
    assert digest_kept(first) == before
    assert digest_files(first) != digest_files(store.put("kind", "b", filler("same")) / "sub")
    assert digest_kept(store.put("kind", "b", filler("same")) / "sub") == before
    assert digest_kept(store.put("kind", "c", filler("other")) / "sub") != before
    assert digest_kept(first.parent) != before
    loose = store.root.parent / "loose"
    loose.mkdir()
    filler("same")(loose)
    assert digest_kept(loose) == digest_files(loose)


def damage_size(folder: Path) -> None:
    (folder / "sub" / "file").write_text("conten")


def damage_missing(folder: Path) -> None:
    (folder / "sub" / "file").unlink()


def damage_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("elsewhere")


def damage_kind(folder: Path) -> None:
    (folder / "sub" / "file").unlink()
    (folder / "sub" / "file").symlink_to("/dev/null")


def damage_manifest(folder: Path) -> None:
    (folder / store_module.MANIFEST).write_text("{")


@pytest.mark.parametrize(
    "damage", [damage_size, damage_missing, damage_link, damage_kind, damage_manifest]
)
def test_damaged_entry_is_absent_and_replaced(store: Store, damage: Callable[[Path], None]) -> None:
    damage(store.put("kind", "key", filler()))
    assert store.get("kind", "key") is None
    folder = store.put("kind", "key", filler())
    assert store.get("kind", "key", verify=True) == folder
    assert (folder / "sub" / "file").read_text() == "content"


def large(into: Path) -> None:
    """Write an entry that is too large to be read each time."""
    (into / "image").write_bytes(b"\0" * (2 * 2**20))
    (into / "note").write_text("content")


def flip(file: Path, *, keep_time: bool = False) -> None:
    """Flip one bit in place; the size stays."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes((byte ^ 1,)))
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content is digested."""
    names: list[str] = []
    real = store_module.sha256_of

    def counting(file: Path) -> str:
        names.append(file.name)
        return real(file)

    monkeypatch.setattr(store_module, "sha256_of", counting)
    return names


@pytest.mark.parametrize("keep_time", [False, True])
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(("fill", "name"), [(filler(), "sub/file"), (large, "image")])
def test_flipped_bit_is_noticed_when_an_entry_is_got(
    store: Store, fill: Callable[[Path], None], name: str, verify: bool, keep_time: bool
) -> None:
    folder = store.put("kind", "key", fill)
    assert store.get("kind", "key") == folder
    flip(folder / name, keep_time=keep_time)
    assert store.damage("kind", "key") == f"the content of {name} is not what was written"
    assert store.get("kind", "key", verify=verify) is None
    store.put("kind", "key", fill)
    assert store.damage("kind", "key") == ""
    assert store.get("kind", "key", verify=verify) == folder


def test_large_entry_is_read_when_written_and_not_again(store: Store, reads: list[str]) -> None:
    store.put("kind", "key", large)
    reads.clear()
    assert store.get("kind", "key") is not None
    assert reads == []
    assert store.get("kind", "key", verify=True) is not None
    assert reads == ["image", "note"]


def test_small_entry_is_read_each_time(store: Store, reads: list[str]) -> None:
    store.put("kind", "key", filler())
    for _ in range(2):
        reads.clear()
        store.get("kind", "key")
        assert reads == ["file"]


def test_large_entry_with_other_inodes_is_read_again(store: Store, reads: list[str]) -> None:
    folder = store.put("kind", "key", large)
    os.link(folder / "image", store.root / "another-name")
    reads.clear()
    assert store.get("kind", "key") == folder
    assert reads == ["image", "note"]
    assert store.get("kind", "key") == folder
    assert reads == ["image", "note"]


@pytest.mark.parametrize("days", [2, -2])
def test_large_entry_is_read_again_after_a_day(store: Store, reads: list[str], days: int) -> None:
    folder = store.put("kind", "key", large)
    stamp = folder / store_module.STAMP
    facts = json.loads(stamp.read_text())
    stamp.write_text(json.dumps({**facts, "when": facts["when"] - days * 86400}))
    reads.clear()
    assert store.get("kind", "key") == folder
    assert reads == ["image", "note"]
    assert json.loads(stamp.read_text())["when"] >= facts["when"]


@pytest.mark.parametrize("text", ["", "[]", '{"look": "other", "when": 1}'])
def test_malformed_stamp_is_worth_nothing(store: Store, text: str) -> None:
    folder = store.put("kind", "key", large)
    (folder / store_module.STAMP).write_text(text)
    flip(folder / "image")
    assert store.get("kind", "key") is None


def test_entry_copied_from_another_has_a_manifest_of_its_own(store: Store) -> None:
    one = store.put("kind", "one", filler("one"))

    def fill(into: Path) -> None:
        shutil.copytree(one, into, dirs_exist_ok=True, symlinks=True)
        (into / "more").write_text("more")

    store.put("kind", "two", fill)
    assert store.damage("kind", "two") == ""
    assert store.get("kind", "two", verify=True) is not None


def test_get_updates_the_time_of_last_use(store: Store) -> None:
    folder = store.put("kind", "key", filler())
    past = time.time() - 3600
    os.utime(folder / store_module.MANIFEST, (past, past))
    assert last_used(folder) == pytest.approx(past, abs=1)
    store.get("kind", "key")
    assert last_used(folder) > past + 1800


def test_put_on_a_full_disk_is_one_clear_line(store: Store) -> None:
    def full(into: Path) -> None:  # noqa: ARG001
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InfraError, match="no space left in") as caught:
        store.put("kind", "key", full)
    assert caught.value.hint
    assert store.get("kind", "key") is None


def test_lock_held_by_another_tells_and_waits(tmp_path: Path) -> None:
    told, inside = threading.Event(), threading.Event()

    def second() -> None:
        with hold(tmp_path, "name", told.set):
            inside.set()

    with hold(tmp_path, "name"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        assert not inside.is_set()
        with hold(tmp_path, "another"):
            pass
    thread.join(10)
    assert inside.is_set()
