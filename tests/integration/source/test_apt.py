# SPDX-License-Identifier: GPL-2.0-only
"""apt in a folder of our own, against a Debian archive made here; no network."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.cache.lease import in_use
from harness.host.files import sha256_of
from harness.host.paths import Cache
from harness.model.errors import InfraError, UserError
from harness.model.events import Event, Note, Stage
from harness.source import apt as apt_module
from harness.source.apt import Apt, digest_file, host_mirrors, host_suite, unpack_deb
from harness.source.fetch import fetch

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="no apt here"
)

TRUSTED = ("trusted=yes",)


class Archive:
    """A Debian archive of one suite, without a signature."""

    def __init__(self, root: Path, suite: str) -> None:
        self.root = root
        self.suite = suite
        self.packages: list[str] = []

    @property
    def mirror(self) -> str:
        return f"file:{self.root},"

    def add(self, package: str, version: str, arch: str, files: Path) -> Path:
        """Add a package of the files below *files*, then write the indexes again."""
        (files / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: {package}\nVersion: {version}\nArchitecture: {arch}\n"
            f"Maintainer: A Tester <tester@localhost>\nDescription: for a test\n"
        )
        (files / "DEBIAN" / "control").write_text(control)
        pool = self.root / "pool"
        pool.mkdir(parents=True, exist_ok=True)
        deb = pool / f"{package}_{version.replace(':', '%3a')}_{arch}.deb"
        subprocess.run(
            ("dpkg-deb", "-Znone", "--root-owner-group", "-b", files, deb),
            check=True,
            capture_output=True,
        )
        content = deb.read_bytes()
        self.packages.append(
            f"{control}Filename: pool/{deb.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
        self.publish()
        return deb

    def publish(self, extra: str = "") -> None:
        lines = []
        for arch in ("amd64", "arm64"):
            name = f"main/binary-{arch}/Packages"
            index = self.root / "dists" / self.suite / name
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_text("\n".join(self.packages))
            content = index.read_bytes()
            lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
        release = (
            f"Origin: Test\nSuite: {self.suite}\nCodename: {self.suite}\n"
            f"Date: Sat, 01 Jan 2022 00:00:00 UTC\n{extra}"
            "Architectures: amd64 arm64\nComponents: main\nSHA256:\n" + "\n".join(lines) + "\n"
        )
        (self.root / "dists" / self.suite / "Release").write_text(release)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive", "toysuite")
    for version in ("1:1.0-1", "1:2.0-1"):
        files = tmp_path / f"files-{version[2]}"
        (files / "usr").mkdir(parents=True)
        (files / "usr" / "said").write_text(f"I am {version}\n")
        archive.add("toy", version, "amd64", files)
    return archive


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def apt(tmp_path: Path, archive: Archive, events: list[Event]) -> Apt:
    return Apt(Cache(tmp_path / "cache"), archive.mirror, events.append, TRUSTED)


def test_find_and_download_of_the_newest_version(apt: Apt, events: list[Event]) -> None:
    assert apt.find("toy", "toysuite", "amd64").version == "1:2.0-1"
    deb = apt.download("toy", suite="toysuite", arch="amd64")
    assert deb.parent == apt.cache.downloads
    assert deb.name == "toy_1%3a2.0-1_amd64.deb"
    stages = [event for event in events if isinstance(event, Stage)]
    assert stages[-1].done == stages[-1].total == deb.stat().st_size
    assert [file.name for file in apt.cache.downloads.glob("[!.]*")] == [deb.name]
    assert digest_file(deb).read_text() == sha256_of(deb)
    assert in_use(deb.parent) == {deb.name}


def test_find_of_an_exact_version(apt: Apt, tmp_path: Path) -> None:
    deb = apt.download("toy=1:1.0-1", suite="toysuite", arch="amd64")
    unpack_deb(deb, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "usr" / "said").read_text() == "I am 1:1.0-1\n"


def test_find_twice_fetches_lists_once(
    apt: Apt, archive: Archive, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.find("toy", "toysuite", "amd64")
    events.clear()
    apt.find("toy", "toysuite", "amd64")
    assert events == []
    # A day later they are fetched again; if they cannot be, those of before still serve.
    monkeypatch.setattr(apt_module, "LISTS_FRESH_S", 0.0)
    shutil.rmtree(archive.root / "dists")
    assert apt.find("toy", "toysuite", "amd64").version == "1:2.0-1"
    assert [event.level for event in events if isinstance(event, Note)] == ["warning"]


def test_find_of_a_package_not_in_the_lists_fetches_them_again(
    apt: Apt, archive: Archive, tmp_path: Path
) -> None:
    apt.find("toy", "toysuite", "amd64")
    archive.add("late", "1", "amd64", tmp_path / "late")
    assert apt.find("late", "toysuite", "amd64").version == "1"


def test_find_of_an_unknown_package_is_a_user_error(apt: Apt) -> None:
    with pytest.raises(UserError, match="Debian toysuite has no package none for arm64"):
        apt.find("none", "toysuite", "arm64")


def test_download_of_a_cached_package_needs_no_archive(apt: Apt, archive: Archive) -> None:
    deb = apt.download("toy", suite="toysuite", arch="amd64")
    shutil.rmtree(archive.root)
    assert apt.download("toy", suite="toysuite", arch="amd64") == deb


def test_download_of_a_damaged_package_fetches_it_again(apt: Apt) -> None:
    deb = apt.download("toy", suite="toysuite", arch="amd64")
    good = deb.read_bytes()
    deb.write_bytes(good[:-1] + b"x")
    assert apt.download("toy", suite="toysuite", arch="amd64").read_bytes() == good


def test_download_of_a_tampered_package_is_refused(apt: Apt, archive: Archive) -> None:
    (deb,) = (archive.root / "pool").glob("toy_1%3a2.0-1_*")
    content = deb.read_bytes()
    deb.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InfraError):
        apt.download("toy", suite="toysuite", arch="amd64")
    assert list(apt.cache.downloads.glob("[!.]*")) == []


def test_find_in_an_unsigned_archive_is_refused(tmp_path: Path, archive: Archive) -> None:
    keyring = tmp_path / "keys.gpg"
    keyring.touch()
    plain = Apt(Cache(tmp_path / "plain"), archive.mirror, source_options=(f"signed-by={keyring}",))
    with pytest.raises(InfraError) as caught:
        plain.find("toy", "toysuite", "amd64")
    assert "signature cannot be verified" in caught.value.what
    assert "\n" not in caught.value.what


def test_find_in_an_expired_release_says_so(
    apt: Apt, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_module, "_host_acquire", lambda: ['Acquire::Check-Valid-Until "true";'])
    archive.publish("Valid-Until: Sun, 02 Jan 2022 00:00:00 UTC\n")
    with pytest.raises(InfraError, match=r"toysuite at .* is expired") as caught:
        apt.find("toy", "toysuite", "amd64")
    assert "Check-Valid-Until" in caught.value.hint


def test_configuration_inherits_the_hosts_acquire_settings(
    apt: Apt, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        apt_module, "_host_acquire", lambda: ['Acquire::Check-Valid-Until "false";']
    )
    archive.publish("Valid-Until: Sun, 02 Jan 2022 00:00:00 UTC\n")
    assert apt.find("toy", "toysuite", "amd64").version == "1:2.0-1"
    (config,) = apt.cache.apt.glob("*/apt.conf")
    assert config.stat().st_mode & 0o077 == 0


def test_find_at_a_missing_mirror_is_one_clear_line(tmp_path: Path) -> None:
    gone = Apt(Cache(tmp_path / "cache"), "http://localhost:1/debian", source_options=TRUSTED)
    with pytest.raises(InfraError, match="the mirror does not answer") as caught:
        gone.find("toy", "toysuite", "amd64")
    assert "\n" not in caught.value.what
    assert "--mirror" in caught.value.hint
    assert "localhost" in caught.value.detail


def test_find_at_another_mirror_fetches_other_lists(apt: Apt, tmp_path: Path) -> None:
    apt.find("toy", "toysuite", "amd64")
    other = Archive(tmp_path / "other", "toysuite")
    other.add("toy", "9", "amd64", tmp_path / "nine")
    again = Apt(apt.cache, other.mirror, source_options=TRUSTED)
    assert again.find("toy", "toysuite", "amd64").version == "9"


GONE = "file:/nonexistent/debian,"


def test_mirrors_are_tried_in_order(
    archive: Archive, tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    several = f"{GONE} {archive.mirror}"
    apt = Apt(Cache(tmp_path / "cache"), several, events.append, TRUSTED)
    assert apt.find("toy", "toysuite", "amd64").version == "1:2.0-1"
    deb = apt.download("toy", suite="toysuite", arch="amd64")
    (note, *_) = (event.text for event in events if isinstance(event, Note))
    assert "trying the next mirror" in note
    monkeypatch.setenv("KERNEL_PATCH_HARNESS_MIRROR", several)
    by_environment = Apt(apt.cache, source_options=TRUSTED)
    assert by_environment.download("toy", suite="toysuite", arch="amd64") == deb


def test_mirror_without_the_package_is_passed_over(
    apt: Apt, archive: Archive, tmp_path: Path
) -> None:
    other = Archive(tmp_path / "other", "toysuite")
    other.add("else", "9", "amd64", tmp_path / "nine")
    both = Apt(apt.cache, f"{other.mirror} {archive.mirror}", source_options=TRUSTED)
    assert both.find("toy", "toysuite", "amd64").version == "1:2.0-1"
    with pytest.raises(UserError, match=r"none of 2 mirrors serves it: .* no package none"):
        both.find("none", "toysuite", "amd64")


def test_mirror_that_is_named_again_has_its_lists_still(apt: Apt, archive: Archive) -> None:
    deb = apt.download("toy", suite="toysuite", arch="amd64")
    with pytest.raises(InfraError):
        Apt(apt.cache, GONE, source_options=TRUSTED).find("toy", "toysuite", "amd64")
    shutil.rmtree(archive.root)
    assert apt.download("toy", suite="toysuite", arch="amd64") == deb


def test_mirrors_that_all_fail_say_that_the_suite_may_have_moved(tmp_path: Path) -> None:
    apt = Apt(Cache(tmp_path / "cache"), f"{GONE} file:/none,", source_options=TRUSTED)
    with pytest.raises(InfraError, match="none of 2 mirrors serves it") as caught:
        apt.find("toy", "toysuite", "amd64")
    assert "archive" in caught.value.hint
    assert "--mirror MAIN,SECURITY" in caught.value.hint
    assert "/none" in caught.value.detail


def test_find_without_a_keyring_names_its_package(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt_module, "KEYRING", tmp_path / "none.gpg")
    plain = Apt(Cache(tmp_path / "plain"), archive.mirror)
    with pytest.raises(InfraError, match="archive keys are missing") as caught:
        plain.find("toy", "toysuite", "amd64")
    assert "debian-archive-keyring" in caught.value.hint


def test_host_mirrors_are_read_from_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    with pytest.raises(UserError, match="names no Debian mirror") as caught:
        host_mirrors(tmp_path)
    assert "--mirror" in caught.value.hint
    (folder / "debian.sources").write_text(
        "Types: deb\nURIs: http://a.example/debian\nSuites: trixie\nComponents: main\n"
    )
    assert host_mirrors(tmp_path).main == "http://a.example/debian"
    (tmp_path / "sources.list").write_text("deb http://b.example/debian bookworm main\n")
    assert host_mirrors(tmp_path).main == "http://b.example/debian"


def test_host_suite_of_debian_and_of_others(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME=bookworm\nNAME="x"\n')
    assert host_suite(release) == "bookworm"
    release.write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    assert host_suite(release) == "stable"


def test_unpack_deb_of_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_text("no")
    with pytest.raises(InfraError, match=r"x\.deb cannot be unpacked"):
        unpack_deb(tmp_path / "x.deb", tmp_path / "into")


# ---------------------------------------------------------------- debian:VERSION


@pytest.fixture
def kernel_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive whose sid has a kernel 9.9, small."""
    original = Apt.__init__

    def trusting(self: Apt, *args: object, **options: object) -> None:
        original(self, *args, **{"source_options": TRUSTED, **options})  # type: ignore[arg-type]

    monkeypatch.setattr(Apt, "__init__", trusting)
    archive = Archive(tmp_path / "archive", "sid")
    for patchlevel in ("1", "2"):
        tree = tmp_path / f"tree-{patchlevel}" / "linux-source-9.9"
        tree.mkdir(parents=True)
        (tree / "Makefile").write_text(
            f"VERSION = 9\nPATCHLEVEL = 9\nSUBLEVEL = {patchlevel}\nEXTRAVERSION =\n"
        )
        (tree / "Kconfig").touch()
        files = tmp_path / f"files-{patchlevel}"
        (files / "usr/src").mkdir(parents=True)
        subprocess.run(
            (
                "tar",
                "-cJf",
                files / "usr/src/linux-source-9.9.tar.xz",
                "-C",
                tree.parent,
                tree.name,
            ),
            check=True,
        )
        archive.add("linux-source-9.9", f"9.9.{patchlevel}-1", "all", files)
    return archive


def test_fetch_of_a_debian_kernel_unpacks_and_keeps_it(
    kernel_archive: Archive, tmp_path: Path, events: list[Event]
) -> None:
    cache = Cache(tmp_path / "cache")
    tree = fetch("debian:9.9", cache, kernel_archive.mirror, events.append)
    assert tree.version == "9.9.2"
    assert tree.origin == "linux-source-9.9 9.9.2-1"
    assert tree.spec == "debian:9.9"
    assert (tree.path / "Makefile").is_file()
    assert len(tree.digest) == 64
    (pool,) = (kernel_archive.root / "pool").glob("*9.9.2-1*")
    assert tree.digest == hashlib.sha256(pool.read_bytes()).hexdigest()

    # Neither archive, lists nor download are needed again.
    shutil.rmtree(kernel_archive.root)
    shutil.rmtree(cache.apt)
    shutil.rmtree(cache.downloads)
    events.clear()
    assert fetch("debian:9.9", cache, kernel_archive.mirror, events.append) == tree
    assert events == []


def test_fetch_of_an_exact_debian_version(kernel_archive: Archive, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    tree = fetch("debian:9.9=9.9.1-1", cache, kernel_archive.mirror, print)
    assert tree.version == "9.9.1"


def test_fetch_of_an_edited_debian_kernel_unpacks_it_again(
    kernel_archive: Archive, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    tree = fetch("debian:9.9", cache, kernel_archive.mirror, print)
    good = (tree.path / "Makefile").read_text()
    (tree.path / "Makefile").write_text(f"{good}\n# edited\n")
    again = fetch("debian:9.9", cache, kernel_archive.mirror, print)
    assert again == tree
    assert (tree.path / "Makefile").read_text() == good


@pytest.mark.parametrize("spec", ["debian:9", "debian:x", "debian:9.9=;rm"])
def test_fetch_of_a_malformed_debian_spec_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no Debian kernel"):
        fetch(spec, Cache(tmp_path), "file:/none,", print)


def test_fetch_of_a_kernel_that_debian_lacks_is_refused(
    kernel_archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.source.schemes import debian

    monkeypatch.setattr(debian, "ELSEWHERE", ("sid",))
    with pytest.raises(UserError, match=r"no linux-source-9\.8 in sid") as caught:
        fetch("debian:9.8", Cache(tmp_path / "cache"), kernel_archive.mirror, print)
    assert "debian:5.10" in caught.value.hint


def test_pin_of_a_debian_kernel_is_plain_json(kernel_archive: Archive, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    tree = fetch("debian:9.9", cache, kernel_archive.mirror, print)
    (pin,) = (cache.sources / "specs").glob("*.json")
    assert json.loads(pin.read_text()) == {"spec": "debian:9.9", "digest": tree.digest}
