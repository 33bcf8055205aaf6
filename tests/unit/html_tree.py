# SPDX-License-Identifier: GPL-2.0-only
"""An HTML page as a tree that tests can ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from harness.model.results import CellResult, RunRecord
from harness.report import write_html, write_json

VOID = {"meta", "link", "br", "img", "use", "path", "circle"}


@dataclass
class Element:
    """A node of the page."""

    tag: str
    attrs: dict[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def all(self, tag: str = "", **attrs: str) -> list[Element]:
        """Return this and every node below with *tag* and *attrs* (class: one of its words)."""
        wanted = {name.rstrip("_"): value for name, value in attrs.items()}
        cls = wanted.pop("class", None)
        fits = (
            (not tag or self.tag == tag)
            and all(self.attrs.get(name) == value for name, value in wanted.items())
            and (cls is None or cls in self.attrs.get("class", "").split())
        )
        return [self] * fits + [found for c in self.children for found in c.all(tag, **attrs)]

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())


class Reader(HTMLParser):
    """Builds the tree, and fails where tags are not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.stack = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack[-1].children.append(Element(tag, {n: v or "" for n, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.stack:
            element.pieces.append(data)


def parse_page(text: str) -> Element:
    """Return the root of *text*; fails where an element is left open."""
    reader = Reader()
    reader.feed(text)
    assert reader.stack == [reader.root]
    return reader.root


def read(record: RunRecord, folder: Path) -> Element:
    """Write the page as a run does, and return its tree."""
    write_json(record, folder)
    return parse_page(write_html(record, folder).read_text(encoding="utf-8"))


def panel(page: Element, result: CellResult) -> Element:
    (found,) = page.all("section", id=result.cell.id)
    return found


def pane(of: Element, label: str) -> Element:
    (found,) = (e for e in of.all("section") if e.attrs.get("data-pane") == label)
    return found
