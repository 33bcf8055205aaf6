# SPDX-License-Identifier: GPL-2.0-only
"""``run.json``: a run's record, and the source of every other report."""

from __future__ import annotations

from pathlib import Path

from harness.host.files import write_whole
from harness.model.errors import UserError
from harness.model.jsonio import from_json, to_json
from harness.model.results import RunRecord

NAME = "run.json"


def json_path(folder: Path) -> Path:
    """Return the path of the record of the run in *folder*."""
    return folder / NAME


def write_json(record: RunRecord, folder: Path) -> Path:
    """Write *record* into *folder* and return the file; it appears whole or not at all."""
    path = json_path(folder)
    write_whole(path, to_json(record))
    return path


def read_json(folder: Path) -> RunRecord:
    """Read the record of the run in *folder*.

    Raises:
        UserError: there is none, or it is damaged or of another version of the harness.
    """
    path = json_path(folder)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder} is no run: it has no {NAME}", hint="harness list runs") from None
    except UnicodeDecodeError as error:
        raise _damaged(f"{path}: not text: {error}") from error
    try:
        return from_json(RunRecord, text, where=str(path))
    except UserError as error:
        raise _damaged(error.what) from error


def _damaged(what: str) -> UserError:
    return UserError(
        what, hint="it is damaged, or of another version of the harness: run the plan again"
    )
