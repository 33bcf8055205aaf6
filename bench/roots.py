# SPDX-License-Identifier: GPL-2.0-only
"""Checkouts made for the benchmark: one with a trivial test, one whose series is edited anew.

What was built for a checkout's own series is in the store, and would be found there. An edit that
nobody made before is built for certain, by the harness and by make alone.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.testbed import Testbed
from harness.host.paths import Checkout
from harness.model.values import Series, SourceTree
from harness.source.apply import contents_at
from harness.source.series import load_series

FLAGSHIP = "vmalloc-nofail"
FILE = "mm/vmalloc.c"
TRIVIAL = Path(__file__).parent / "trivial"


def trivial_root(testbed: Testbed) -> Path:
    """Return a copy of the checkout whose only guest test does nothing."""
    root = _copy(testbed, "trivial")
    tests = Checkout(root).tests
    shutil.rmtree(tests)
    shutil.copytree(TRIVIAL, tests / "bench-trivial")
    return root


@dataclass(frozen=True)
class EditedSeries:
    """The flagship under another name, with an edit of mm/vmalloc.c that can be renewed.

    Under its own name it has a work tree of its own: nobody else's build folder is disturbed.
    """

    root: Path
    name: str
    tree: SourceTree

    @property
    def folder(self) -> Path:
        return Checkout(self.root).patches / self.name

    def series(self) -> Series:
        """Return the series as it is now."""
        return load_series(self.folder, self.tree.version)

    def edit_base(self) -> None:
        """Renew the edit below every position: a sweep has to build all of them."""
        patches = self.series().folder
        about = self.folder / "series.toml"
        about.write_text(
            f'[[kernel]]\nversions = "{self.series().covers}"\n'
            f'folder = "{patches.name}"\nprepare = ["edit.patch"]\n'
        )
        text = (self.tree.path / FILE).read_text()
        (patches / "edit.patch").write_text(_edit(text))

    def edit_last(self) -> None:
        """Renew the edit on top of the last position, as a patch of its own."""
        patches = self.series().folder
        order = patches / "series"
        names = [n for n in order.read_text().splitlines() if n != "edit.patch"]
        order.write_text("\n".join(names) + "\n")
        series = self.series()
        content = contents_at(self.tree, series, len(series.patches))[FILE]
        assert content is not None
        (patches / "edit.patch").write_text(_edit(content.data.decode()))
        order.write_text("\n".join([*names, "edit.patch"]) + "\n")


def edited_series(testbed: Testbed, name: str, tree: SourceTree) -> EditedSeries:
    """Return a copy of the checkout with the flagship renamed to *name*, tests included."""
    root = _copy(testbed, name)
    checkout = Checkout(root)
    (checkout.patches / FLAGSHIP).rename(checkout.patches / name)
    for about in checkout.tests.glob("*/test.toml"):
        about.write_text(about.read_text().replace(f'"{FLAGSHIP}"', f'"{name}"'))
    return EditedSeries(root, name, tree)


def _copy(testbed: Testbed, name: str) -> Path:
    root = testbed.new_folder(name)
    ours = testbed.workspace.checkout
    for folder in (ours.guest_tests, ours.kconfigs, ours.patches):
        shutil.copytree(folder, root / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def _edit(text: str) -> str:
    """Return a patch that appends to *text*, the content of FILE, a function never seen before."""
    lines = text.splitlines()
    context = "".join(f" {line}\n" for line in lines[-3:])
    body = (
        "",
        "unsigned long bench_edit(void);",
        "unsigned long bench_edit(void)",
        "{",
        f"\treturn 0x{secrets.token_hex(8)}UL;",
        "}",
    )
    added = "".join(f"+{line}\n" for line in body)
    return (
        "From: bench <bench@localhost>\nSubject: [PATCH] mm/vmalloc: an edit\n\n---\n"
        f"--- a/{FILE}\n+++ b/{FILE}\n"
        f"@@ -{len(lines) - 2},3 +{len(lines) - 2},{3 + len(body)} @@\n{context}{added}"
    )
