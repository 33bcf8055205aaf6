# SPDX-License-Identifier: GPL-2.0-only
"""Guests that people drive, by pytest and by command: a kernel at fault is told, and is a failure.

The guest tests here are those that go wrong on purpose, in a checkout of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.arch import arch_names
from tests.qemu.conftest import ROOT

HERE = Path(__file__).parent
PROVOKE = (HERE / "provoke" / "provoke.c").read_text().splitlines()
WARN = "<4>WARNING: CPU: 0 PID: 1 at mm/vmalloc.c:1 vfree+0x1/0x2"


WRONG = """\
#include <harness/compat.h>
static int many = 3;
static void counts(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, many, 4);
}
static void complains(struct kunit *test)
{
	WARN_ON(many);
}
static struct kunit_case wrong_cases[] = { KUNIT_CASE(counts), KUNIT_CASE(complains), {} };
static int wrong_open(void) { return 0; }
static void wrong_close(void) { }
#define wrong_NAME "wrong"
HARNESS_SUITE(wrong, wrong_open, wrong_close);
MODULE_LICENSE("GPL");
"""


@dataclass(frozen=True)
class Done:
    """What pytest said of the tests of one file, by their names."""

    code: int
    text: str
    failed: dict[str, str]
    errors: dict[str, str]
    passed: tuple[str, ...]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    tests = root / "guest-tests" / "tests"
    tests.mkdir(parents=True)
    for shared in ("kconfigs", "patches", "guest-tests/include", "guest-tests/init"):
        (root / shared).symlink_to(ROOT / shared)
    (root / "guest-tests" / "loads").symlink_to(ROOT / "guest-tests" / "loads")
    shutil.copytree(HERE / "provoke", tests / "provoke")
    shutil.copytree(HERE / "stuck", tests / "stuck")
    about = 'summary = "does not end"\nmodule = "stuck"\nsuite = "stuck"\n'
    (tests / "stuck" / "test.toml").write_text(about)
    wrong = tests / "wrong"
    wrong.mkdir()
    (wrong / "main.c").write_text(WRONG)
    (wrong / "Kbuild").write_text("obj-m := wrong.o\nwrong-y := main.o\n")
    (wrong / "test.toml").write_text('summary = "s"\nmodule = "wrong"\nsuite = "wrong"\n')
    broken = tests / "broken"
    shutil.copytree(HERE / "provoke", broken)
    (broken / "provoke.c").write_text("int f(void) { return absent; }\n")
    about = (broken / "test.toml").read_text().replace('module = "provoke"', 'module = "broken"')
    (broken / "test.toml").write_text(about)
    (broken / "Kbuild").write_text("obj-m := broken.o\nbroken-y := provoke.o\n")
    return root


def command(root: Path, module: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", module, *args),
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def run_tests(root: Path, folder: Path, source: str, args: Sequence[str] = ()) -> Done:
    (folder / "test_mine.py").write_text(source)
    junit = folder / "junit.xml"
    done = command(
        *(root, "pytest", "-p", "no:cacheprovider", f"--rootdir={root}"),
        *(f"--junitxml={junit}", "-ojunit_logging=all", f"--basetemp={folder / 'base'}"),
        *(str(folder / "test_mine.py"), *args),
    )
    found: dict[str, dict[str, str]] = {"failure": {}, "error": {}, "": {}}
    for case in ElementTree.parse(junit).iter("testcase"):
        name = re.sub(r"\[.*", "", case.get("name", ""))
        bad = next((part for part in case if part.tag in ("failure", "error")), None)
        found[bad.tag if bad is not None else ""][name] = (
            (bad.text or "") if bad is not None else ""
        )
    assert "Traceback" not in done.stdout
    assert "/harness/" not in re.sub(r"^\[.*|evidence: .*", "", done.stdout, flags=re.M)
    return Done(done.returncode, done.stdout, found["failure"], found["error"], tuple(found[""]))


def line_of(kind: str) -> str:
    (number,) = [n for n, line in enumerate(PROVOKE, 1) if f"/* here: {kind} */" in line]
    return f"provoke/provoke.c:{number}"


COMPLAINS = """
import pytest

def test_warning(guest):
    guest.load_module("provoke", "kind=warning")

@pytest.mark.tolerates("warning", "leak")
def test_tolerated(guest):
    assert any("ok 2" in line for line in guest.load_module("provoke", "kind=warning"))
    guest.unload_module("provoke")

def test_warning_and_own_failure(guest):
    guest.load_module("provoke", "kind=warning")
    assert guest.read("/proc/version") == "another"

def test_bug(guest):
    guest.load_module("provoke", "kind=bug")

def test_bug_over_ssh(guest):
    guest.find_module("provoke")
    guest.put("/tmp/p.ko", guest.find_module("provoke"))
    with guest.ssh() as ssh:
        ssh.run("insmod /tmp/p.ko kind=null_pointer")

def test_fine(guest):
    assert guest.exec(("/bin/uname", "-r")).lines == (guest.ready.release,)
"""


@pytest.mark.parametrize("arch", arch_names())
def test_a_kernel_at_fault_fails_the_python_test_that_did_not_look(
    checkout: Path, tmp_path: Path, arch: str
) -> None:
    done = run_tests(checkout, tmp_path, COMPLAINS, ("--arch", arch))
    assert done.code == 1
    assert set(done.passed) == {"test_tolerated", "test_fine"}
    assert done.errors == {}
    warned = done.failed["test_warning"]
    assert warned.startswith("the kernel complained: WARNING in warning")
    assert line_of("warning") in warned
    assert re.search(r"^evidence: .*/test_warning", warned, re.M)
    own = done.failed["test_warning_and_own_failure"]
    assert "another" in own
    assert "the kernel complained" not in own
    assert done.text.count("Captured kernel call") == 1
    died = done.failed["test_bug"]
    assert re.match(r"the kernel died: kernel BUG (at|in) ", died)
    assert line_of("bug") in died
    over_ssh = done.failed["test_bug_over_ssh"]
    assert over_ssh.startswith("the kernel died: ")
    assert " null_pointer" in over_ssh.splitlines()[0]
    assert done.text.count("console of the guest in") >= 4
    assert "connection broke" not in done.text


ENDS = """
import os, signal
import pytest

def test_powers_off(guest):
    with guest.ssh() as ssh:
        ssh.run("poweroff -f; sleep 9")

@pytest.mark.tolerates("death")
def test_ends_on_purpose(guest):
    with pytest.raises(Exception, match="panicked"):
        guest.write("/proc/sysrq-trigger", "c")

@pytest.fixture
def dead(guest):
    guest.read("/proc/version")
    guest.write("/proc/sysrq-trigger", "c")

def test_dies_in_a_fixture(dead):
    raise AssertionError

def test_dies_unasked(guest):
    guest.exec(("/bin/sh", "-c", "(sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &"))
    guest.machine.wait_end(guest.deadline(30))

def test_emulator_breaks(guest):
    os.kill(guest.pid, signal.SIGKILL)
    guest.read("/proc/version")

def test_no_such_file(guest):
    guest.read("/no/such")

def test_does_not_build(guest):
    guest.load_module("broken")

def test_hangs(guest):
    guest.write("/proc/sys/kernel/soft_watchdog", "0")
    guest.load_module("stuck", "how=irqs-off", timeout_s=3)

def test_waits_for_ever(guest):
    guest.load_module("stuck", "how=deadlock", timeout_s=3)
"""


def test_an_end_of_the_guest_is_a_failure_and_ours_an_error(checkout: Path, tmp_path: Path) -> None:
    done = run_tests(checkout, tmp_path, ENDS)
    assert done.passed == ("test_ends_on_purpose",)
    off = "the kernel died: the guest reset or powered off"
    assert done.failed["test_powers_off"].startswith(off)
    for name in ("test_dies_in_a_fixture", "test_dies_unasked"):
        assert done.failed[name].startswith("the kernel died: kernel panic: sysrq triggered crash")
        assert "drivers/tty/sysrq.c:" in done.failed[name]
    assert "the guest cannot read /no/such" in done.failed["test_no_such_file"]
    assert set(done.errors) == {"test_emulator_breaks", "test_does_not_build"}
    assert "QEMU ended with SIGKILL" in done.errors["test_emulator_breaks"]
    assert "'absent' undeclared" in done.errors["test_does_not_build"]
    assert re.match(r"the kernel hangs in \w+ \(hang\): the guest did", done.failed["test_hangs"])
    assert re.match(
        r"the kernel hangs in \w+ \(hang\): module stuck does not come to its end",
        done.failed["test_waits_for_ever"],
    )
    assert len(done.failed) == 6
    assert "qemu.qmp" not in done.text


def test_a_kind_that_there_is_not_is_refused_at_once(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n@pytest.mark.tolerates('warn')\ndef test_it(guest): ...\n"
    )
    done = command(checkout, "pytest", f"--rootdir={checkout}", str(tmp_path))
    assert done.returncode == 4
    assert "unknown kind 'warn': did you mean 'warning'?" in done.stderr
    done = command(checkout, "harness", "boot", "--tolerate", "warn")
    assert done.returncode == 2
    assert "--tolerate: unknown kind 'warn'" in done.stderr


@pytest.mark.parametrize("arch", arch_names())
def test_a_failed_item_says_all_that_is_known(checkout: Path, tmp_path: Path, arch: str) -> None:
    plan = ("--arch", arch, "--position", "4", "--load", "none", "--test", "wrong,broken")
    done = command(
        *(checkout, "pytest", "-p", "no:cacheprovider", f"--rootdir={checkout}"),
        *(f"--basetemp={tmp_path / 'base'}", *plan, "guest-tests"),
    )
    assert done.returncode == 1
    assert "2 failed" in done.stdout
    line = next(n for n, text in enumerate(WRONG.splitlines(), 1) if "EXPECT" in text)
    complaint = next(n for n, text in enumerate(WRONG.splitlines(), 1) if "WARN_ON" in text)
    for said in (
        f"EXPECTATION FAILED at wrong/main.c:{line}",
        "many == 3",
        "counts: FAIL, expected PASS",
        f"warning: WARNING in complains (wrong/main.c) at wrong/main.c:{complaint} (complains)",
        "guest test 'broken' does not build",
        "'absent' undeclared",
    ):
        assert said in done.stdout, said
    # Where CI is set, pytest's summary has each message once more.
    folders = list(dict.fromkeys(re.findall(r"^evidence: (.*)", done.stdout, re.M)))
    assert [sorted(path.name for path in Path(f).glob("*.log")) != [] for f in folders[1:]] == [
        True
    ]
    assert all(Path(folder, "result.json").is_file() for folder in folders)


# ---------------------------------------------------------------- harness boot


@pytest.mark.parametrize("arch", arch_names())
def test_boot_shows_what_the_kernel_complains_of(checkout: Path, arch: str) -> None:
    insmod = "insmod /harness/modules/provoke.ko kind=warning"
    args = ("boot", "--arch", arch, "--test", "provoke", "--exec", insmod)
    done = command(checkout, "harness", *args)
    assert done.returncode == 1, done.stderr
    said = f"{arch}: the kernel complained: WARNING in warning"
    assert done.stdout.splitlines()[-1].startswith(said)
    assert line_of("warning") in done.stdout
    tolerant = command(checkout, "harness", *args, "--tolerate", "warning,leak", "--exec", "exit 5")
    assert tolerant.returncode == 5
    assert "complained" not in tolerant.stdout


@pytest.mark.parametrize(
    ("kind", "said"),
    [("bug", r"the kernel died: kernel BUG (at|in) "), ("null_pointer", "the kernel died: ")],
)
def test_boot_shows_what_the_kernel_died_of(checkout: Path, kind: str, said: str) -> None:
    insmod = f"insmod /harness/modules/provoke.ko kind={kind}"
    done = command(checkout, "harness", "boot", "--test", "provoke", "--exec", insmod)
    assert done.returncode == 1, done.stderr
    assert re.match(rf"x86_64: {said}", done.stdout.splitlines()[-1])
    assert line_of(kind) in done.stdout
    assert "harness:" not in done.stderr.replace("harness: next", "")


def test_boot_builds_no_tests_unless_asked(checkout: Path) -> None:
    done = command(checkout, "harness", "boot", "--exec", "ls /harness/modules")
    assert (done.returncode, done.stderr.count("broken")) == (0, 0)
    asked = command(checkout, "harness", "boot", "--test", "broken", "--exec", "uname -r")
    assert asked.returncode == 0
    assert "'absent' undeclared" in asked.stderr
