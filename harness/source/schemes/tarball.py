# SPDX-License-Identifier: GPL-2.0-only
"""``tar:PATH#sha256=HEX``: a tar archive on this machine, known by its sha256."""

from __future__ import annotations

from harness.host.files import sha256_of
from harness.host.paths import Cache, expanded
from harness.model.errors import UserError
from harness.model.events import Report
from harness.model.values import SourceTree
from harness.source.trees import keep, kept, unpack_tar

SCHEME = "tar"
HELP = "PATH#sha256=HEX (a tar archive and the sha256 it must have)"


def fetch(rest: str, cache: Cache, mirror: str, report: Report) -> SourceTree:  # noqa: ARG001
    """Return the tree in the archive, after its sha256 was found to be the one asked for."""
    spec = f"{SCHEME}:{rest}"
    name, _, wanted = rest.partition("#sha256=")
    archive = expanded(name).absolute()
    tree = kept(cache, spec)
    if tree is not None and tree.digest == wanted.lower():
        return tree
    if not archive.is_file():
        raise UserError(f"no archive {archive}", hint=f"{SCHEME}:{HELP}")
    actual = sha256_of(archive)
    if not wanted:
        raise UserError(
            f"{spec}: its sha256 is missing",
            hint=f"if you trust the file: {SCHEME}:{name}#sha256={actual}",
        )
    if actual != wanted.lower():
        raise UserError(
            f"{archive} is not the file asked for: its sha256 is {actual}",
            hint="fetch it again, or correct the sha256",
        )
    return keep(cache, spec, actual, archive.name, lambda into: unpack_tar(archive, into), report)
