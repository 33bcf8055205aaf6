# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.cache import ccache
from harness.host.paths import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "cache")
    made.ccache.mkdir(parents=True)
    return made


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ccache that prints what a file says, and notes how it was called."""
    program = tmp_path / "bin" / "ccache"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$CCACHE_DIR $CCACHE_MAXSIZE $*" > {tmp_path}/called\n'
        f"cat {tmp_path}/prints\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    monkeypatch.delenv("CCACHE_MAXSIZE", raising=False)
    return tmp_path


def test_statistics_count_direct_and_preprocessed_hits(cache: Cache, told: Path) -> None:
    (told / "prints").write_text(
        "direct_cache_hit\t5\npreprocessed_cache_hit\t2\ncache_miss\t3\n"
        "cache_size_kibibyte\t10\nfiles_in_cache\t6\nmore\t1\n"
    )
    assert ccache.statistics(cache) == ccache.Statistics(7, 3, 10240, 6, "2G")
    assert (told / "called").read_text() == f"{cache.ccache} 2G --print-stats\n"


def test_environ_with_a_size_of_the_user_keeps_it(
    cache: Cache, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCACHE_MAXSIZE", "9G")
    (told / "prints").touch()
    assert ccache.environ(cache)["CCACHE_MAXSIZE"] == "9G"
    assert ccache.evict(cache, 90.7)
    assert (told / "called").read_text() == f"{cache.ccache} 9G --evict-older-than 90s\n"


def test_statistics_in_unknown_words_are_none(cache: Cache, told: Path) -> None:
    (told / "prints").write_text("stats updated   Tue Nov 24\n")
    assert ccache.statistics(cache) is None


def test_statistics_without_ccache_are_none(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ccache.statistics(cache) is None
    assert not ccache.evict(cache, 0)
