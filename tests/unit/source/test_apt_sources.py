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


def test_parse_list_of_one_line_entries() -> None:
    assert parse_list(LIST) == (
        AptSource("http://mirror.example/debian", "bookworm"),
        AptSource("https://tools.example/apt", "any", "/keys/a.gpg"),
        AptSource("http://mirror.example/debian-security", "bookworm-security"),
    )


def test_parse_deb822_of_stanzas() -> None:
    assert parse_deb822(DEB822) == (
        AptSource("http://mirror.example/debian", "trixie", "/keys/debian.gpg"),
        AptSource("http://mirror.example/debian", "trixie-updates", "/keys/debian.gpg"),
        AptSource("http://other.example/debian-security", "trixie-security"),
    )


def test_debian_mirrors_passes_over_third_parties() -> None:
    assert debian_mirrors(parse_list(LIST)) == Mirrors(
        "http://mirror.example/debian", "http://mirror.example/debian-security", "bookworm"
    )
    assert debian_mirrors(parse_list("deb https://tools.example/apt any main")) is None
    assert debian_mirrors(()) is None


def test_debian_mirrors_with_security_on_another_host() -> None:
    found = debian_mirrors(parse_deb822(DEB822))
    assert found is not None
    assert found.security == "http://other.example/debian-security"
    assert found.signed_by == "/keys/debian.gpg"
    assert found.suite == "trixie"


def test_debian_mirrors_of_a_renamed_archive_is_known_by_its_keys() -> None:
    line = "deb [signed-by=/k/debian-archive-keyring.gpg] http://proxy.example/mirror/d12 sid main"
    found = debian_mirrors(parse_list(line))
    assert found == Mirrors(
        "http://proxy.example/mirror/d12", "", "sid", "/k/debian-archive-keyring.gpg"
    )


def test_debian_mirrors_without_security_takes_the_folder_beside() -> None:
    found = debian_mirrors(parse_list("deb http://mirror.example/debian bookworm main"))
    assert found is not None
    assert found.security == "http://mirror.example/debian-security"


def test_debian_mirrors_of_a_cdrom_is_none() -> None:
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
def test_mirrors_given_in_every_form(text: str, main: str, security: str) -> None:
    assert mirrors_given(text) == Mirrors(main, security)


@pytest.mark.parametrize(
    "text", ["h.example/debian", "ftp://h.example/debian", ",https://h.example"]
)
def test_mirrors_given_of_no_mirror_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        mirrors_given(text)
    assert caught.value.hint
