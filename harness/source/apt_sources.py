# SPDX-License-Identifier: GPL-2.0-only
"""Debian mirrors in apt's sources lists, one-line and deb822. Pure: text in, values out.

Only the Debian archive and its security archive count; third-party repositories are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.model.errors import UserError

_OPTIONS = re.compile(r"^\[(?P<options>[^\]]*)\]\s*")
_USABLE = frozenset(("http", "https", "file", "copy", "mirror+file", "mirror+http", "mirror+https"))


@dataclass(frozen=True)
class AptSource:
    """One repository of the host's configuration, at one suite."""

    uri: str  # without a trailing slash
    suite: str
    signed_by: str = ""  # a keyring's path; "" where the host names none, or embeds the key


@dataclass(frozen=True)
class Mirrors:
    """A pair of archives. ``security`` is "" where there is none."""

    main: str
    security: str
    suite: str = ""  # that the host runs; "" for a mirror given by the user
    signed_by: str = ""


def parse_list(text: str) -> tuple[AptSource, ...]:
    """Read a one-line-style list: ``deb [options] uri suite component...``."""
    found = []
    for line in text.splitlines():
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        rest = rest.strip()
        if kind != "deb":
            continue
        options = ""
        if match := _OPTIONS.match(rest):
            options, rest = match["options"], rest[match.end() :]
        words = rest.split()
        if len(words) >= 2:
            signed = next(
                (o.partition("=")[2] for o in options.split() if o.startswith("signed-by=")), ""
            )
            found.append(_source(words[0], words[1], signed))
    return tuple(found)


def parse_deb822(text: str) -> tuple[AptSource, ...]:
    """Read a deb822-style ``*.sources`` file; entries with ``Enabled: no`` are left out."""
    found = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "off", "0", "without"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                found.append(_source(uri, suite, fields.get("signed-by", "")))
    return tuple(found)


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _source(uri: str, suite: str, signed_by: str) -> AptSource:
    keyring = signed_by.split(",")[0].strip()
    return AptSource(uri.rstrip("/"), suite, keyring if keyring.startswith("/") else "")


def debian_mirrors(sources: Iterable[AptSource]) -> Mirrors | None:
    """Pick the Debian archive and its security archive; None where there is no Debian archive."""
    usable = [s for s in sources if urlsplit(s.uri).scheme in _USABLE]
    security = [s for s in usable if s.suite.endswith(("-security", "/updates"))]
    archive = [s for s in usable if s not in security and _is_debian(s)]
    if not archive:
        return None
    first = archive[0]
    own = next((s.suite for s in archive if "-" not in s.suite), first.suite)
    debian = [s.uri for s in security if _last(s.uri) in ("debian-security", "") or _is_debian(s)]
    return Mirrors(
        main=first.uri,
        security=debian[0] if debian else _security_beside(first.uri),
        suite=own,
        signed_by=first.signed_by,
    )


def mirrors_given(text: str) -> Mirrors:
    """Read a user's ``MAIN`` or ``MAIN,SECURITY``; with ``MAIN,`` there is no security archive.

    Raises:
        UserError: not a URI that apt could use.
    """
    main, comma, security = (part.strip().rstrip("/") for part in text.partition(","))
    for uri in filter(None, (main, security)):
        if urlsplit(uri).scheme not in _USABLE:
            raise UserError(
                f"'{uri}' is not a Debian mirror",
                hint="give one as https://HOST/debian, or MAIN,SECURITY",
            )
    if not main:
        raise UserError("the Debian mirror is empty", hint="give one as https://HOST/debian")
    return Mirrors(main, security if comma else _security_beside(main))


def _is_debian(source: AptSource) -> bool:
    # Nearly every archive lies in a folder called debian; behind a proxy that renames it, the
    # keyring of its entry tells.
    return _last(source.uri) == "debian" or "debian-archive" in source.signed_by


def _last(uri: str) -> str:
    return urlsplit(uri).path.rstrip("/").rpartition("/")[2]


def _security_beside(main: str) -> str:
    """Return the security archive beside *main*, where mirrors that carry both keep it."""
    return main + "-security" if _last(main) == "debian" else ""
