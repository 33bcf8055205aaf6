# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a kernel source and print where it is."""

from __future__ import annotations

import argparse

from harness.plan.plan import DEFAULT_BASE
from harness.run.workspace import Workspace
from harness.source.fetch import fetch

HELP = "fetch a kernel source into the cache"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the base and the mirror."""
    known = "debian:5.10, dir:PATH, tar:PATH#sha256=HEX, git:PATH#REF"
    parser.add_argument("base", nargs="?", default=DEFAULT_BASE, metavar="SPEC", help=known)
    parser.add_argument("--mirror", action="append", default=[], metavar="URI",
                        help="Debian mirror; given again, tried next")  # fmt: skip


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Fetch; print version, origin, digest and folder."""
    tree = fetch(args.base, workspace.cache, " ".join(args.mirror), workspace.report)
    print(
        f"version {tree.version}\norigin  {tree.origin}\ndigest  {tree.digest}\npath    {tree.path}"
    )
    return 0
