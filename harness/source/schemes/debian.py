# SPDX-License-Identifier: GPL-2.0-only
"""``debian:5.10``: the kernel source package of Debian, fetched and verified by apt itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness.host.paths import Cache
from harness.model.errors import InfraError, UserError
from harness.model.events import Report
from harness.model.values import SourceTree
from harness.source.apt import Apt, Candidate, unpack_deb
from harness.source.trees import keep, kept, unpack_tar

SCHEME = "debian"
HELP = "VERSION[=PACKAGE-VERSION] (Debian's source package: debian:5.10, debian:6.1=6.1.190-1)"
# The suite that ships a kernel, with its security archive.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "7.2": "sid"}
# Suites searched for any other version, in order.
ELSEWHERE = ("sid", "trixie-backports", "bookworm-backports")
# The package is the same file for every architecture; its index is read for this one.
INDEX_ARCH = "amd64"
_REST = re.compile(r"^(?P<version>\d+\.\d+)(?:=(?P<exact>[0-9][A-Za-z0-9.+~-]*))?$")


def fetch(rest: str, cache: Cache, mirror: str, report: Report) -> SourceTree:
    """Return Debian's tree of kernel *rest*; once in the cache, it stays at that version."""
    spec = f"{SCHEME}:{rest}"
    match = _REST.match(rest)
    if match is None:
        raise UserError(f"'{spec}' names no Debian kernel", hint=f"{SCHEME}:{HELP}")
    tree = kept(cache, spec)
    if tree is not None:
        return tree
    name = f"linux-source-{match['version']}"
    package = f"{name}={match['exact']}" if match["exact"] else name
    apt = Apt(cache, mirror, report)
    suite, found = _find(apt, match["version"], package)
    # The index says the digest, so a tree that another spec brought is not fetched twice.
    exact = f"{name}={found.version}"

    def fill(into: Path) -> None:
        deb = apt.download(exact, suite=suite, arch=INDEX_ARCH)
        _unpack(deb, name, into)

    origin = f"{name} {found.version}"
    return keep(cache, spec, found.sha256, origin, fill, report)


def known(rest: str, cache: Cache) -> SourceTree | None:
    """Return the tree that *rest* was resolved to before; that never changes."""
    return kept(cache, f"{SCHEME}:{rest}", look=False)


def _find(apt: Apt, version: str, package: str) -> tuple[str, Candidate]:
    suites = (SUITES[version],) if version in SUITES else ELSEWHERE
    for suite in suites:
        try:
            return suite, apt.find(package, suite, INDEX_ARCH)
        except UserError as error:
            missing = error
    raise UserError(
        f"Debian has no {package} in {', '.join(suites)}",
        hint=f"there are: {', '.join(f'{SCHEME}:{v}' for v in SUITES)}",
    ) from missing


def _unpack(deb: Path, name: str, into: Path) -> None:
    files = into.with_name("package")
    unpack_deb(deb, files)
    archives = sorted((files / "usr/src").glob(f"{name}.tar.*"))
    if not archives:
        raise InfraError(f"{deb.name} holds no kernel source", hint=f"remove {deb} and run again")
    unpack_tar(archives[0], into)
    shutil.rmtree(files)
