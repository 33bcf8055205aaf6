# SPDX-License-Identifier: GPL-2.0-only
"""Files of a run in a report: bounded however long, and from the run's folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.excerpts import Excerpt, exhibits, inside, read_excerpt


def test_read_excerpt_short_file_is_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\r\nb\xff\r\n")

    assert read_excerpt(tmp_path, "log") == Excerpt("a\nb\\xff\n", size=7)


def test_read_excerpt_long_file_is_cut_between_lines(tmp_path: Path) -> None:
    lines = [f"line {n:05}\n" for n in range(10_000)]
    (tmp_path / "log").write_text("".join(lines))

    excerpt = read_excerpt(tmp_path, "log", 1000)

    assert excerpt is not None
    assert excerpt.size == 110_000
    assert excerpt.head.splitlines(keepends=True) == lines[:45]
    assert excerpt.tail.splitlines(keepends=True) == lines[-45:]
    assert excerpt.left_out == 110_000 - len(excerpt.head) - len(excerpt.tail)
    assert f"[{excerpt.left_out} bytes left out]" in excerpt.text


def test_read_excerpt_line_beyond_the_limit_is_cut(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x" * 10_000)

    excerpt = read_excerpt(tmp_path, "log", 1000)

    assert excerpt == Excerpt("x" * 500, "x" * 500, 10_000, 9000)


def test_read_excerpt_binary_file_is_left_out_and_console_with_nuls_is_not(tmp_path: Path) -> None:
    (tmp_path / "trace.dat").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "console.log").write_bytes(b"\0\0[    0.000000] booting\r\n")

    binary = read_excerpt(tmp_path, "trace.dat")
    console = read_excerpt(tmp_path, "console.log")

    assert binary == Excerpt("", size=2560, binary=True)
    assert console is not None
    assert console.head == "\\x00\\x00[    0.000000] booting\n"


@pytest.mark.parametrize(
    "name",
    ["", "..", "../secret", "a/../../secret", "/etc/passwd", "link", "link/secret", "gone", "\0"],
)
def test_inside_path_out_of_the_run_is_none(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    (run / "a").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (run / "link").symlink_to(tmp_path / ("secret" if name == "link" else "."))

    assert inside(run, name) is None
    assert read_excerpt(run, name) is None


def test_exhibits_logs_come_before_other_files() -> None:
    found = exhibits(
        [
            ("artifact x", "cells/a/artifacts/x"),
            ("argv", "cells/a/argv.txt"),
            ("console", "cells/a/console.log"),
            ("heartbeat", "cells/a/heartbeat.txt"),
            ("test", "cells/a/test.log"),
        ]
    )

    assert [e.label for e in found] == ["KTAP log", "console log", "argv", "x", "heartbeat"]
    assert [e.artifact for e in found] == [False, False, False, True, False]
