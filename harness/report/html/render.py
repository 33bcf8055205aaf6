# SPDX-License-Identifier: GPL-2.0-only
"""``report.html``: one self-contained page that works from ``file://``.

Style and script are inside, and a content security policy admits nothing else, so that text from
a guest stays text. Long logs are cut in the middle and linked. The panels of all cells are in the
page and opened by its fragment (``#`` and the cell's id), so each has a link of its own; without
JavaScript only tabs and arrow keys are missing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from harness.host.files import write_whole
from harness.model.results import RunRecord
from harness.model.text import visible
from harness.report.html.page import Page, make_page

NAME = "report.html"


def write_html(record: RunRecord, folder: Path) -> Path:
    """Write ``report.html`` of *record*, whose run is in *folder*, and return it."""
    path = folder / NAME
    write_whole(path, render(record, make_page(record, folder)))
    return path


def render(record: RunRecord, page: Page) -> str:
    """Return the whole page as HTML."""
    css, js = part("style.css"), part("page.js")
    text: str = template("page.html").render(
        record=record,
        page=page,
        css=Markup(css),  # the harness's own, trusted
        js=Markup(js),
        policy=policy(css, js),
        icon=icon(good=record.as_expected and bool(record.cells)),
    )
    return text


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template of this folder; it makes each text visible and escapes it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report.html", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _finalize(value: object) -> object:
    """Make text visible before it is escaped; markup of the harness stays as it is."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@functools.cache
def part(name: str) -> str:
    """Return a style or script of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


def policy(css: str, js: str = "") -> str:
    """Return a content security policy that admits this style and script alone."""
    return (
        f"default-src 'none'; style-src {_digest(css)}; script-src {_digest(js)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def icon(*, good: bool) -> str:
    """Return a dot for the browser's tab, in the colour of the headline."""
    colour = "#1d7a48" if good else "#c23a1e"
    dot = f"<circle cx='8' cy='8' r='7' fill='{colour}'/>"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>{dot}</svg>"
    return "data:image/svg+xml," + quote(svg)
