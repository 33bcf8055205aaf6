# SPDX-License-Identifier: GPL-2.0-only
"""A run's folder: the boundary between running and reporting.

::

    runs/20261123-112355-vmalloc-nofail/
      run.json                         RunRecord; reports read nothing else but what it names
      report.html  junit.xml
      patches/0001-mm-vmalloc-....patch
      kernels/arm64-p2/{config,build.log}
      cells/arm64/debian-5.10/p2/128M/vmalloc-nofail-sweep+anon/
        result.json console.log kmsg.log argv.txt ...
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.host.files import write_whole
from harness.host.paths import require_writable
from harness.model.errors import UserError
from harness.model.jsonio import to_json
from harness.model.results import CellResult, PatchRecord
from harness.model.values import Cell, Kernel, Plan, Series, path_safe
from harness.source.series import short_name

LATEST = "latest"  # below a checkout's runs: a link to the last one that was begun


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run, and the writing of finished pieces into it."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    def cell(self, cell: Cell) -> Path:
        """Return the folder of *cell*, not made yet."""
        return self.path / "cells" / cell.id

    def relative(self, path: Path) -> str:
        """Return *path* as reports name it: below the run's folder, with slashes."""
        return path.relative_to(self.path).as_posix()

    def save_kernel(self, kernel: Kernel) -> tuple[str, str]:
        """Copy config and build log of *kernel*; return their names below the run's folder."""
        folder = self.path / "kernels" / f"{kernel.arch}-p{kernel.position}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kernel.config, folder / "config")
        shutil.copyfile(kernel.build_log, folder / "build.log")
        return self.relative(folder / "config"), self.relative(folder / "build.log")

    def save_patches(self, series: Series) -> tuple[PatchRecord, ...]:
        """Copy the patches of *series*; return their records."""
        folder = self.path / "patches"
        if folder.exists():  # of an earlier run that was given the same folder
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        records = []
        for patch in series.patches:
            copy = folder / f"{patch.number:04d}-{path_safe(patch.file.stem)}.patch"
            shutil.copyfile(patch.file, copy)
            records.append(
                PatchRecord(
                    number=patch.number,
                    title=patch.title,
                    sha256=patch.sha256,
                    commit=patch.commit,
                    author=patch.author,
                    file=self.relative(copy),
                )
            )
        return tuple(records)

    def save_result(self, result: CellResult) -> None:
        """Write a cell's ``result.json``; it appears whole or not at all."""
        folder = self.cell(result.cell)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "result.json", to_json(result, indent=None))


@contextmanager
def run_folder(
    runs: Path, plan: Plan, out: Path | None = None, kind: str = ""
) -> Iterator[RunFolder]:
    """Give the folder of one run: *out*, else a new one below *runs*, whose name ends in *kind*.

    A run that ends by an exception before it has written anything leaves no empty folder, and
    ``latest`` as it was.
    """
    before = _latest(runs)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        run = RunFolder(out.resolve())
    else:
        run = new_run_folder(runs, plan, kind)
    try:
        yield run
    except BaseException:
        if not any(run.path.iterdir()):
            run.path.rmdir()
            if before and _latest(runs) == run.path.name:
                _point_latest(runs, before)
            elif _latest(runs) == run.path.name:
                (runs / LATEST).unlink()
        raise


def new_run_folder(runs: Path, plan: Plan, kind: str = "") -> RunFolder:
    """Make a folder for a new run below *runs* and let ``latest`` point to it."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    name = short_name(plan.series) + (f"-{kind}" if kind else "")
    require_writable(runs, "--out")
    runs.mkdir(parents=True, exist_ok=True)
    for attempt in range(100):
        path = runs / (f"{stamp}-{name}" + (f"-{attempt}" if attempt else ""))
        try:
            path.mkdir()
        except FileExistsError:
            continue  # another run began within the same second
        _point_latest(runs, path.name)
        return RunFolder(path)
    raise UserError(f"cannot make a folder for the run in {runs}", hint="pass --out FOLDER")


def _point_latest(runs: Path, name: str) -> None:
    link = runs / f".latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    link.replace(runs / LATEST)


def _latest(runs: Path) -> str:
    """Return the name of the run that ``latest`` points to, "" where there is none."""
    try:
        return (runs / LATEST).readlink().name
    except OSError:
        return ""


def find_run(runs: Path, name: str) -> RunFolder:
    """Return the run that *name* names: a folder, an id below *runs*, or ``latest``.

    Raises:
        UserError: there is no such run.
    """
    for path in (Path(name), runs / name):
        if (path / "run.json").is_file():
            return RunFolder(path.resolve())
    there = next((p for p in (Path(name), runs / name) if p.is_dir()), None)
    if there is not None:
        raise _no_plan_run(there.resolve())
    known = sorted(p.parent.name for p in runs.glob("*/run.json") if not p.parent.is_symlink())
    newest = f"newest: {', '.join(known[-3:])}" if known else f"none yet in {runs}"
    raise UserError(f"no finished run '{name}'", hint=f"give a run's folder or id ({newest})")


def other_reports(folder: Path) -> list[Path]:
    """Return the pages of a run that was no run of a plan: of mutants, coverage, RAM sizes."""
    return sorted(page for kind in ("md", "html", "svg") for page in folder.glob(f"*.{kind}"))


def _no_plan_run(folder: Path) -> UserError:
    """Return what is wrong with *folder*, which has no ``run.json``: what else it holds."""
    pages = other_reports(folder)
    if pages:
        return UserError(
            f"{folder.name} has no verdicts of a plan to report", hint=f"it has {pages[0]}"
        )
    return UserError(
        f"no finished run in {folder}",
        hint="it goes on, or was killed before its end: run the same command to go on",
    )
