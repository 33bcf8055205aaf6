# SPDX-License-Identifier: GPL-2.0-only
"""Reports of a run, from its folder alone: json is the source, html/, junit and terminal/ views.

matrix, measures, patch_summary, splat_text and excerpts are shared by them; analysis/ reports
coverage, mutants and RAM thresholds.
"""

from __future__ import annotations

from pathlib import Path

from harness.model.results import RunRecord
from harness.report.html.render import write_html
from harness.report.json import json_path, read_json, write_json
from harness.report.junit import write_junit


def write_reports(record: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write the HTML page and JUnit XML of the run in *folder*; return them and ``run.json``.

    ``run.json`` itself is the run's own and is left as it is.
    """
    return (write_html(record, folder), write_junit(record, folder), json_path(folder))


__all__ = ["read_json", "write_html", "write_json", "write_junit", "write_reports"]
