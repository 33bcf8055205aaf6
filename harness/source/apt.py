# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages through apt itself, in apt folders of the cache: the host's are never touched.

Each pair of suite and architecture has an instance of its own (sources, lists, state), so the
lists of one suite are fetched without the others' and two instances never wait for each other.
The host's Acquire settings (proxy, certificates, Valid-Until) are inherited.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness.cache.lease import use
from harness.cache.store import hold, touch
from harness.host import process
from harness.host.disk_space import clear_when_full, full, says_full
from harness.host.files import key_of, sha256_of, write_whole
from harness.host.paths import Cache
from harness.model.errors import HarnessError, InfraError, UserError
from harness.model.events import Note, Report, Stage
from harness.source.apt_sources import (
    AptSource,
    Mirrors,
    debian_mirrors,
    mirrors_given,
    parse_deb822,
    parse_list,
)

T = TypeVar("T")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS_FRESH_S = 24 * 3600.0
MIRRORS = "KERNEL_PATCH_HARNESS_MIRROR"  # of the environment: mirrors, as in Apt.mirror
_MOVED = (
    "a suite past its support moves to Debian's archive: name that with --mirror MAIN,SECURITY "
    "(or 'MAIN,' where none is for security); several are tried in order, also from a plan's "
    f"mirror and {MIRRORS}"
)
# Suites that stand alone: no security archive goes with them.
_ALONE = frozenset(("sid", "unstable", "experimental", "rc-buggy"))
_URI_LINE = re.compile(
    r"^'(?P<uri>[^']*)' (?P<file>\S+) (?P<size>\d+)(?: SHA256:(?P<sha256>[0-9a-f]{64}))?", re.M
)


@dataclass(frozen=True)
class Candidate:
    """A package that apt would fetch, as its signed index describes it."""

    version: str
    file: str  # its name in the archive, as apt saves it
    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Apt:
    """apt on the cache.

    ``mirror`` is MAIN or MAIN,SECURITY, or several of them with blanks between, tried in order. ""
    takes those of $KERNEL_PATCH_HARNESS_MIRROR, or else the host's own.
    """

    cache: Cache
    mirror: str = ""
    report: Report = field(default=lambda _: None, compare=False)
    # For an archive without a signature, as the project's own tests make one.
    source_options: tuple[str, ...] = ()

    def find(self, package: str, suite: str | None, arch: str) -> Candidate:
        """Return the newest version of *package* (or that of ``package=version``) in *suite*.

        None is the suite that the host runs. Lists are fetched when there are none younger than
        a day, or when the package is not in them.

        Raises:
            UserError: the suite has no such package, or the host has no Debian mirror.
            InfraError: no network, or apt does not trust what it got.
        """
        return self._at_first_of(suite, arch, lambda instance: self._find(instance, package))

    def _find(self, instance: _Instance, package: str) -> Candidate:
        with self._held(instance):
            fresh = self._refresh(instance)
            found = self._look(instance, package)
            if found is None and not fresh:
                self._update(instance)
                found = self._look(instance, package)
        if found is None:
            raise UserError(f"Debian {instance.suite} has no package {package} for {instance.arch}")
        return found

    def download(self, package: str, *, suite: str | None, arch: str) -> Path:
        """Return the .deb of *package* in the cache's downloads, verified by apt.

        Raises:
            UserError, InfraError: as :meth:`find`; InfraError also when the disk is full.
        """
        return self._at_first_of(suite, arch, lambda instance: self._download(instance, package))

    def _download(self, instance: _Instance, package: str) -> Path:
        found = self._find(instance, package)
        kept = self.cache.downloads / found.file
        use(self.cache.downloads, found.file)
        if kept.is_file() and found.sha256 in ("", sha256_of(kept)):
            touch(kept)
            return kept
        with self._held(instance), clear_when_full(self.cache.downloads, found.file):
            self.cache.downloads.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=self.cache.downloads) as new:
                self._fetch(instance, package, found, Path(new))
                (Path(new) / found.file).replace(kept)
            write_whole(digest_file(kept), found.sha256)
        os.utime(kept)  # apt gives it the time it has in the archive
        return kept

    # ------------------------------------------------------------ instances

    def _instances(self, suite: str | None, arch: str) -> tuple[_Instance, ...]:
        """Return an apt for each mirror; each has lists of its own, good as long as it is named."""
        given = (self.mirror or os.environ.get(MIRRORS, "")).split()
        made = []
        for mirrors in [mirrors_given(text) for text in given] or [host_mirrors()]:
            name = suite or mirrors.suite or host_suite()
            of = f"-{key_of(mirrors.main, mirrors.security)[:8]}" if given else ""
            made.append(_Instance(self.cache.apt / f"{name}-{arch}{of}", name, arch, mirrors))
        return tuple(made)

    def _at_first_of(self, suite: str | None, arch: str, work: Callable[[_Instance], T]) -> T:
        """Return what *work* gives for the first mirror that serves it."""
        failures: list[HarnessError] = []
        instances = self._instances(suite, arch)
        for instance in instances:
            try:
                return work(instance)
            except (InfraError, UserError) as error:
                failures.append(error)
                if instance is not instances[-1]:
                    self.report(Note(f"{error.what}; trying the next mirror", "warning"))
        # One that could not be asked may have it, so that the request is not to blame.
        failures.sort(key=lambda error: isinstance(error, UserError))
        first, *others = failures
        if not others:
            raise first
        raise type(first)(
            f"none of {len(failures)} mirrors serves it: {first.what}",
            hint=first.hint,
            detail="\n".join((first.detail, *(error.what for error in others))).strip(),
        )

    def _held(self, instance: _Instance) -> AbstractContextManager[None]:
        def waiting() -> None:
            self.report(Note(f"waiting for another harness that uses apt ({instance.suite})"))

        use(self.cache.apt, instance.folder.name)
        return hold(self.cache.locks, f"apt-{instance.folder.name}", waiting)

    def _run(self, instance: _Instance, *argv: str, cwd: Path | None = None,
             on_tick: Callable[[], None] | None = None) -> process.Finished:  # fmt: skip
        process.require_tool(argv[0])
        env = {"APT_CONFIG": str(instance.config)}
        return process.run(argv, env=env, cwd=cwd, on_tick=on_tick)

    def _refresh(self, instance: _Instance) -> bool:
        """Make sure of usable lists; True if they were fetched just now."""
        sources = instance.sources(self.source_options)
        state = instance.state()
        if state.get("sources") != sources:
            instance.write(sources)
            self._update(instance)
            return True
        if time.time() - float(state.get("updated", 0.0)) < LISTS_FRESH_S:
            return False
        try:
            self._update(instance)
        except InfraError as error:
            # The lists stay signed, and packages that they name may be in the cache.
            self.report(Note(f"{error.what}; going on with older lists", "warning"))
            return False
        return True

    def _update(self, instance: _Instance) -> None:
        key = f"apt {instance.suite} {instance.arch}"
        self.report(Stage(key, f"fetching Debian's package lists of {instance.suite}"))
        # A missing index must be an error: half of the lists would pass for all of them.
        done = self._run(instance, "apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")
        if not done.ok or "E: " in done.stderr:
            raise _explain(instance, done)
        sources = instance.sources(self.source_options)
        text = json.dumps({"sources": sources, "updated": time.time()})
        write_whole(instance.state_file, text)
        self.report(Stage(key, f"package lists of {instance.suite} are there", finished=True))

    def _look(self, instance: _Instance, package: str) -> Candidate | None:
        with tempfile.TemporaryDirectory() as empty:  # a .deb in the way would hide the answer
            done = self._run(
                instance, "apt-get", "download", "--print-uris", package, cwd=Path(empty)
            )
        match = _URI_LINE.search(done.stdout)
        if not done.ok or match is None:
            return None
        version = urllib.parse.unquote(match["file"].split("_")[1])
        return Candidate(version, match["file"], int(match["size"]), match["sha256"] or "")

    def _fetch(self, instance: _Instance, package: str, found: Candidate, into: Path) -> None:
        key = f"download {found.file}"
        name = package.partition("=")[0]
        partial = into / found.file

        def progress() -> None:
            done = partial.stat().st_size if partial.exists() else 0
            self.report(Stage(key, f"downloading {found.file}", done, found.size))

        exact = f"{name}={found.version}"
        done = self._run(instance, "apt-get", "download", "-q", exact, cwd=into, on_tick=progress)
        if not done.ok or not partial.is_file():
            raise _explain(instance, done)
        self.report(Stage(key, f"downloaded {found.file}", found.size, found.size, finished=True))


def digest_file(download: Path) -> Path:
    """Return the file that holds the sha256 of *download*, as the signed index has it."""
    return download.parent / ".sha256" / download.name


@dataclass(frozen=True)
class _Instance:
    """One apt: a suite (with its security archive) for one architecture."""

    folder: Path
    suite: str
    arch: str
    mirrors: Mirrors

    @property
    def config(self) -> Path:
        return self.folder / "apt.conf"

    @property
    def state_file(self) -> Path:
        return self.folder / "updated.json"

    def state(self) -> dict[str, Any]:
        """Return the facts of the last successful update; empty if there was none."""
        try:
            state = json.loads(self.state_file.read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def sources(self, options: tuple[str, ...]) -> str:
        """Return the sources list: the suite, and its security archive where it has one."""
        options = options or (f"signed-by={_keyring(self.mirrors)}",)
        words = " ".join((f"arch={self.arch}", *options))
        lines = []
        if self.suite.endswith("-security"):
            lines.append(f"deb [{words}] {self.mirrors.security} {self.suite} main")
        else:
            lines.append(f"deb [{words}] {self.mirrors.main} {self.suite} main")
        paired = "-" not in self.suite and self.suite not in _ALONE and self.mirrors.security
        if paired:
            lines.append(f"deb [{words}] {self.mirrors.security} {self.suite}-security main")
        return "\n".join(lines) + "\n"

    def write(self, sources: str) -> None:
        """Lay out the folder; lists of other sources are dropped."""
        self.state_file.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "lists", ignore_errors=True)
        for name in ("lists/partial", "cache/archives/partial", "empty"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text(sources)
        self.config.touch(mode=0o600)  # the host's proxy setting may hold a password
        self.config.write_text(_configuration(self.folder, self.arch))


def _configuration(folder: Path, arch: str) -> str:
    own = {
        "Dir::State": f"{folder}/",
        "Dir::State::lists": f"{folder}/lists",
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Log": f"{folder}/cache",
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": f"{folder}/empty",
        "Dir::Etc::main": f"{folder}/empty/none",
        "Dir::Etc::parts": f"{folder}/empty",
        "Dir::Etc::preferences": f"{folder}/empty/none",
        "Dir::Etc::preferencesparts": f"{folder}/empty",
        "APT::Architecture": arch,
        "APT::Install-Recommends": "false",
        # As root, apt would fetch as a user who cannot enter root's cache folder.
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "true",
    }
    lines = [*_host_acquire(), "#clear APT::Architectures;", "#clear Acquire::Languages;"]
    lines += [f'{name} "{value}";' for name, value in own.items()]
    lines.append(f'APT::Architectures {{ "{arch}"; }};')
    return "\n".join(lines) + "\n"


def _host_acquire() -> list[str]:
    """Return the host's Acquire settings: proxy, certificates, time-outs, Valid-Until.

    Its IndexTargets are left out: those of other tools (file lists, icons) may be huge.
    """
    process.require_tool("apt-config")
    dump = process.run(("apt-config", "dump")).stdout
    return [
        line
        for line in dump.splitlines()
        if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
    ]


def _keyring(mirrors: Mirrors) -> str:
    """Return the whole archive keyring: the host's sources may name one of their suite only."""
    for path in (KEYRING, Path(mirrors.signed_by or "/none")):
        if path.is_file():
            return str(path)
    raise InfraError(
        f"Debian's archive keys are missing ({KEYRING})",
        hint="run: harness doctor --install (Debian package debian-archive-keyring)",
    )


def _explain(instance: _Instance, done: process.Finished) -> HarnessError:
    """Turn apt's messages into one line."""
    text = f"{done.stdout}\n{done.stderr}"
    errors = [line for line in text.splitlines() if line.startswith(("E: ", "W: ", "Err:"))]
    detail = "\n".join(errors[-12:])
    where = f"Debian {instance.suite} at {instance.mirrors.main}"
    if says_full(text):
        return full(instance.folder, f"package lists of {instance.suite}")
    if "is expired" in text:
        return InfraError(
            f"the Release file of {where} is expired",
            hint="the mirror is stale, or no longer updated: give another with --mirror, or set "
            'Acquire::Check-Valid-Until "false" in the host\'s apt configuration',
            detail=detail,
        )
    if "NO_PUBKEY" in text or "not signed" in text or "signatures were invalid" in text:
        return InfraError(
            f"apt does not trust {where}: its signature cannot be verified",
            hint="install a newer debian-archive-keyring, or give another --mirror",
            detail=detail,
        )
    if "does not have a Release file" in text and "404" in text:
        return InfraError(
            f"{where}: the mirror has no such suite",
            hint=_MOVED,
            detail=detail,
        )
    return InfraError(
        f"no network, or the mirror does not answer: {where}",
        hint=f"check the network; else {_MOVED}",
        detail=detail,
    )


# ---------------------------------------------------------------- the host


def host_mirrors(etc: Path = Path("/etc/apt")) -> Mirrors:
    """Return where the host's own apt gets Debian from.

    Raises:
        UserError: its configuration names no Debian archive.
    """
    found: list[AptSource] = []
    one_line = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    for file in filter(Path.is_file, one_line):
        found += parse_list(file.read_text(errors="replace"))
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        found += parse_deb822(file.read_text(errors="replace"))
    mirrors = debian_mirrors(found)
    if mirrors is None:
        raise UserError(
            "this host's apt configuration names no Debian mirror",
            hint="give one: --mirror https://HOST/debian",
        )
    return mirrors


def host_suite(os_release: Path = Path("/etc/os-release")) -> str:
    """Return the Debian suite of the host, "stable" where it is not a Debian."""
    fields = dict(
        line.partition("=")[::2] for line in os_release.read_text().splitlines() if "=" in line
    )
    codename = fields.get("VERSION_CODENAME", "").strip('"')
    return codename if codename and fields.get("ID") == "debian" else "stable"


def unpack_deb(deb: Path, folder: Path) -> None:
    """Unpack the files of a package into *folder*, which is made if need be.

    Raises:
        InfraError: not a package, or the disk is full.
    """
    process.require_tool("dpkg-deb")
    folder.mkdir(parents=True, exist_ok=True)
    done = process.run(("dpkg-deb", "-x", deb, folder))
    if done.ok:
        return
    if says_full(done.stderr):
        raise full(folder, f"unpacking {deb.name}")
    raise InfraError(
        f"{deb.name} cannot be unpacked",
        hint=f"remove it and run again: {deb}",
        detail=done.stderr.strip(),
    )
