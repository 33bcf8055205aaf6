# SPDX-License-Identifier: GPL-2.0-only
"""The HTML page against guests that print anything, and records that were tampered with."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.model.results import RunRecord
from harness.model.values import Plan
from harness.report.html import page as page_module
from tests.unit.html_tree import Element, pane, panel, read
from tests.unit.sample_run import find, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample run's folder: not to be changed."""
    return tmp_path_factory.mktemp("html") / "run"


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return make_run(folder)


@pytest.fixture(scope="module")
def page(record: RunRecord, folder: Path) -> Element:
    return read(record, folder)


def test_page_text_of_a_guest_is_escaped(page: Element, record: RunRecord) -> None:
    box = panel(page, find(record, "vmalloc-nofail-sweep", "x86_64", 2))

    assert len(page.all("script")) == 1
    assert page.all("title")[0].text == "2 differences: vmalloc-nofail on 5.10.262"
    for part in (box.all("p", class_="outcome")[0], box.all("table", class_="cases")[0],
                 box.all("details", class_="splat")[0], pane(box, "kernel log"),
                 pane(box, "console log")):  # fmt: skip
        assert r"\x1b[2J\x1b[31mred\x1b[0m \x07bell \x00nul" in part.text
        assert "</pre></script><script>document.title='owned'</script>" in part.text
        assert "<img src=x onerror=alert(1)> ]]> &amp; {{ 7*7 }}" in part.text
        assert r"\u202e turned round" in part.text
    assert r"\xff\xfe broken utf-8" in pane(box, "kernel log").text


@pytest.mark.usefixtures("page")
def test_page_holds_no_unseen_character(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ufffe]", text)


def test_names_are_escaped_too(record: RunRecord, tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>\x1b\u202e'
    result = replace(record.cells[0], qemu_version=evil, argv=(evil,),
                     cell=replace(record.cells[0].cell, test=evil, base=evil, load=evil),
                     evidence=((evil, f"cells/{evil}"),))  # fmt: skip
    kernel = replace(record.kernels[0], compiler=evil, warnings=(evil,), patch_title=evil)
    plan = Plan(series=evil, base=evil, config=(evil,))

    page = read(
        replace(record, plan=plan, cells=(result,), kernels=(kernel,), host=evil, series_title=evil,
                patch_titles=(evil,), tree_version=evil, finished=False, error=evil),
        tmp_path,
    )  # fmt: skip

    assert len(page.all("script")) == 1
    assert page.text.count('"><script>alert(1)</script>') > 10
    assert not set((tmp_path / "report.html").read_text(encoding="utf-8")) & set("\x1b\u202e")
    ids = {e.attrs["id"] for e in page.all() if "id" in e.attrs}
    assert page.all("a", class_="cell")[0].attrs["href"].removeprefix("#") in ids


def test_long_log_is_cut_and_linked_to(page: Element, record: RunRecord, folder: Path) -> None:
    result = find(record, "vmalloc-nofail-sweep", "x86_64", 2)
    box = pane(panel(page, result), "console log")

    (cut,) = box.all("span", class_="cut")
    assert re.fullmatch(r"\d+ KiB left out here: see the whole file", cut.text)
    assert "[ 3000]" not in box.text
    assert box.text.endswith("last line")
    whole = folder / unquote(box.all("a")[0].attrs["href"])
    assert whole == folder / "cells" / result.cell.id / "console.log"
    assert len(box.text) < 100_000 < whole.stat().st_size


def test_binary_artifact_is_linked_to_but_not_shown(page: Element, record: RunRecord) -> None:
    box = pane(panel(page, find(record, "vmalloc-nofail-sweep", "x86_64", 2)), "artifacts")

    *_, quoted, binary = box.all("details")
    assert quoted.all("pre")[0].text == "a name that needs quoting in a link"
    assert binary.all("summary")[0].text == "trace.dat 4096 bytes"
    assert binary.all("p", class_="note")[0].text == "Binary, 4096 bytes."
    assert binary.all("a")[0].attrs["href"].endswith("/artifacts/trace.dat")
    assert not binary.all("pre")


def test_page_logs_of_cells_as_expected_shrink_with_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_run(tmp_path)
    log = "".join(f"line {n}\n" for n in range(8000))
    for file in (tmp_path / "cells").rglob("console.log"):
        file.write_text(log)
    monkeypatch.setattr(page_module, "PAGE_BUDGET", 1024 * 1024)

    page = read(record, tmp_path)

    calm = pane(panel(page, find(record, "vmalloc-scope", "arm64", 2)), "console log")
    odd = pane(panel(page, find(record, "vmalloc-hygiene", "x86_64", 3, "anon")), "console log")
    assert len(calm.text) < 5000 < 60_000 < len(odd.text)
    assert (tmp_path / "report.html").stat().st_size < 4 * 1024 * 1024


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "cells/../../secret"])
def test_evidence_outside_of_the_run_is_not_shown(
    record: RunRecord, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "secret").write_text("the secret of this host")
    result = replace(record.cells[0], evidence=(("console", name),))

    page = read(replace(record, cells=(result,), kernels=()), run)

    assert "the secret of this host" not in page.text
    links = [e.attrs["href"] for e in page.all("a") if not e.attrs["href"].startswith("#")]
    assert links == ["run.json"]
