# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from harness.model.errors import UserError
from harness.source.apt_sources import (
    AptSource,
    Mirrors,
    debian_mirrors,
    mirrors_given,
    parse_deb822,
    parse_list,
)

LIST = """
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian/ bookworm main contrib
deb-src http://mirror.example/debian bookworm main
deb [ arch=amd64 signed-by=/keys/a.gpg ] https://tools.example/apt any main # trailing
deb http://mirror.example/debian-security bookworm-security main
"""

DEB822 = """Types: deb deb-src
# A comment within.
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://off.example/debian
Suites: trixie
Enabled: no

Types: deb
URIs: http://other.example/debian-security/
Suites: trixie-security
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_one_line_lists() -> None:
    assert parse_list(LIST) == (
        AptSource("http://mirror.example/debian", "bookworm"),
        AptSource("https://tools.example/apt", "any", "/keys/a.gpg"),
        AptSource("http://mirror.example/debian-security", "bookworm-security"),
    )


def test_deb822_lists() -> None:
    assert parse_deb822(DEB822) == (
        AptSource("http://mirror.example/debian", "trixie", "/keys/debian.gpg"),
        AptSource("http://mirror.example/debian", "trixie-updates", "/keys/debian.gpg"),
        AptSource("http://other.example/debian-security", "trixie-security"),
    )


def test_third_party_repositories_are_passed_over() -> None:
    assert debian_mirrors(parse_list(LIST)) == Mirrors(
        "http://mirror.example/debian", "http://mirror.example/debian-security", "bookworm"
    )
    assert debian_mirrors(parse_list("deb https://tools.example/apt any main")) is None
    assert debian_mirrors(()) is None


def test_the_security_archive_may_be_on_another_host() -> None:
    found = debian_mirrors(parse_deb822(DEB822))
    assert found is not None
    assert found.security == "http://other.example/debian-security"
    assert found.signed_by == "/keys/debian.gpg"
    assert found.suite == "trixie"


def test_an_archive_under_another_name_is_known_by_its_keys() -> None:
    line = "deb [signed-by=/k/debian-archive-keyring.gpg] http://proxy.example/mirror/d12 sid main"
    found = debian_mirrors(parse_list(line))
    assert found == Mirrors(
        "http://proxy.example/mirror/d12", "", "sid", "/k/debian-archive-keyring.gpg"
    )


def test_without_a_security_line_it_is_taken_to_lie_beside() -> None:
    found = debian_mirrors(parse_list("deb http://mirror.example/debian bookworm main"))
    assert found is not None
    assert found.security == "http://mirror.example/debian-security"


def test_a_cdrom_is_no_mirror() -> None:
    assert debian_mirrors(parse_list("deb cdrom:[Debian]/debian bookworm main")) is None


@pytest.mark.parametrize(
    ("text", "main", "security"),
    [
        (
            "https://h.example/debian/",
            "https://h.example/debian",
            "https://h.example/debian-security",
        ),
        ("https://h.example/d", "https://h.example/d", ""),
        ("https://h.example/d,https://s.example/x", "https://h.example/d", "https://s.example/x"),
        ("https://h.example/debian,", "https://h.example/debian", ""),
        ("file:/srv/debian", "file:/srv/debian", "file:/srv/debian-security"),
    ],
)
def test_a_mirror_given_by_the_user(text: str, main: str, security: str) -> None:
    assert mirrors_given(text) == Mirrors(main, security)


@pytest.mark.parametrize(
    "text", ["h.example/debian", "ftp://h.example/debian", ",https://h.example"]
)
def test_a_mirror_that_is_none(text: str) -> None:
    with pytest.raises(UserError) as caught:
        mirrors_given(text)
    assert caught.value.hint
