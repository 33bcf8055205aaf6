# SPDX-License-Identifier: GPL-2.0-only
"""Make the files of a new guest test, load, series, architecture or config topic.

Each is one new file or folder that works as it is written: edit from there.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.host.paths import require_writable
from harness.model.errors import UserError
from harness.run.workspace import Workspace

HELP = "make the files of a new test, load, series, arch or topic"
# kind → (file below the checkout, template)
SCAFFOLDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "test": (
        ("guest-tests/tests/{name}/test.toml", "test.toml"),
        ("guest-tests/tests/{name}/Kbuild", "Kbuild"),
        ("guest-tests/tests/{name}/main.c", "test.c"),
    ),
    "load": (
        ("guest-tests/loads/{name}/load.toml", "load.toml"),
        ("guest-tests/loads/{name}/{symbol}.c", "load.c"),
    ),
    "series": (
        ("patches/{name}/series.toml", "series.toml"),
        ("patches/{name}/5.10/series", "series"),
    ),
    "arch": (
        ("harness/arch/{symbol}.py", "arch.py"),
        ("kconfigs/{symbol}.config", "arch.config"),
    ),
    "topic": (("kconfigs/{name}.config", "topic.config"),),
}
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare kind and name."""
    parser.add_argument("kind", choices=sorted(SCAFFOLDS))
    parser.add_argument("name", help="lower case letters, digits, '-', '_' and '.'")
    parser.add_argument("--out", type=Path, metavar="FOLDER",
                        help="write below FOLDER, and not into the checkout")  # fmt: skip


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Write the files; refuse to touch what is there already."""
    if not NAME.fullmatch(args.name):
        raise UserError(
            f"'{args.name}' cannot name a {args.kind}",
            hint="use lower case letters, digits, '-', '_' and '.', a letter first",
        )
    words = {"name": args.name, "symbol": re.sub(r"[^a-z0-9]", "_", args.name)}
    root = args.out or workspace.checkout.root
    require_writable(root, "--out")
    files = [(root / path.format(**words), template) for path, template in SCAFFOLDS[args.kind]]
    for path, _ in files:
        if path.exists():
            raise UserError(f"{path} exists", hint="choose another name, or edit that file")
    for path, template in files:
        _write(path, template, words)
        print(path if args.out else path.relative_to(root))
    return 0


def _write(path: Path, template: str, words: Mapping[str, str]) -> None:
    environment = Environment(
        loader=PackageLoader("harness.cli", "scaffold"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # C and TOML, from our own words only
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(environment.get_template(f"{template}.j2").render(words), encoding="utf-8")
