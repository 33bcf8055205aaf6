# SPDX-License-Identifier: GPL-2.0-only
"""What the pages for people name is there: links, paths, commands, options, files for CI."""

from __future__ import annotations

import configparser
import dataclasses
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from harness.cli.commands import command_names
from harness.cli.commands.new import SCAFFOLDS
from harness.cli.main import build_parser
from harness.guest.guest import Executed, Guest
from harness.guest.transport.ssh import CommandResult, Ssh
from harness.run.driven import TOLERABLE
from tests.unit.test_layering import ORDER

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PIPELINES = {
    ROOT / "docs/ci/github.yml": "vendor.github-workflows",
    ROOT / "docs/ci/gitlab.yml": "vendor.gitlab-ci",
}

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)
FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}|\$\w+")  # of a CI's own language, or a shell
# A path of the checkout: its first part is a folder there, or all of it is a file there.
TOPS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "runs")
PATH = re.compile(rf"(?<![\w./~-])(?:{'|'.join(map(re.escape, TOPS))})/[\w./-]*")
FILE = re.compile(r"(?<![\w./~-])\.?[\w-]+\.(?:md|toml|ini|yaml)(?![\w/.-])")
# Named as what somebody writes, or what a tool makes.
OTHERS = {"test.toml", "load.toml", "series.toml", "plan.toml", "guest-tests/test_example.py"}
LOCAL = (".git", ".github", ".venv", ".tox")
VARIABLE = re.compile(r"\b(?:HARNESS|KERNEL_PATCH_HARNESS)_[A-Z]+\b")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def slug(heading: str) -> str:
    """Return the anchor that forges give *heading*."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def code_lines(text: str) -> Iterator[str]:
    """Yield each line of *text* that is code: those of fenced blocks, and spans in backticks."""
    for kind, block in FENCE.findall(text):
        if kind != "mermaid":
            yield from block.splitlines()
    for line in FENCE.sub("", text).splitlines():
        yield from SPAN.findall(line)


def written_by_new(line: str) -> set[str]:
    """Return the paths that a `harness new KIND NAME` in *line* writes, and their folders."""
    files = {
        Path(path.format(name=called, symbol=re.sub(r"[^a-z0-9]", "_", called)))
        for kind, called in re.findall(r"harness new (\w+) ([\w.-]+)", line)
        for path, _ in SCAFFOLDS.get(kind, ())
    }
    return {str(p) for file in files for p in (file, *file.parents)}


def commands(lines: Iterator[str], *programs: str) -> Iterator[list[str]]:
    """Yield the words of each command among *lines* that runs one of *programs*, from it on.

    Variables before it are left out, a comment behind it as well.
    """
    for line in lines:
        text = re.sub(r"^\s*(?:- )?(?:run: )?(?:\$ )?(?:[A-Z]\w*=\S* )*(?:\.venv/bin/)?", "", line)
        if text.split(" ")[0] in programs:
            yield shlex.split(EXPRESSION.sub("x86_64", text), comments=True)


def missing_links(page: Path, text: str) -> list[str]:
    """Return the links of *text*, which is that of *page*, that lead nowhere."""
    wrong = []
    for link in LINK.findall(text):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        headings = HEADING.findall(target.read_text()) if anchor and target.is_file() else ()
        if not target.exists() or (anchor and anchor not in map(slug, headings)):
            wrong.append(link)
    return wrong


def missing_paths(text: str) -> list[str]:
    """Return the paths of the checkout that the code in *text* names and that are not there."""
    made = written_by_new(text)
    named = (
        path for line in code_lines(text) for path in (*PATH.findall(line), *FILE.findall(line))
    )
    return sorted(
        path
        for path in {path.rstrip("/.") for path in named} - OTHERS
        if not (ROOT / path).exists() and path not in made and path.partition("/")[0] not in LOCAL
    )


def refused(words: list[str]) -> str:
    """Return why the command line of ``harness`` does not take *words*, "" where it does."""
    # "harness COMMAND --help" and "harness new KIND NAME": words for the reader to fill in.
    # "harness" and "harness new": a command called by its name.
    if {"COMMAND", "KIND"} & {*words} or (len(words) < 3 and {*words[1:]} <= {*command_names()}):
        return ""
    try:
        build_parser(words[1:]).parse_args(words[1:])
    except SystemExit as end:
        return f"{shlex.join(words)}: exit {end.code}" if end.code else ""
    return ""


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def tox_environments() -> set[str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    return {section.removeprefix("testenv:") for section in tox.sections()}


# ---------------------------------------------------------------- the pages


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert missing_links(page, page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_are_there(page: Path) -> None:
    assert missing_paths(page.read_text()) == []


@pytest.mark.parametrize("page", [*PAGES, *PIPELINES], ids=name)
def test_commands_of_harness_are_taken(page: Path) -> None:
    text = page.read_text()
    lines = code_lines(text) if page.suffix == ".md" else iter(text.splitlines())
    assert list(filter(None, map(refused, commands(lines, "harness")))) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_targets_of_make_are_there(page: Path) -> None:
    words = commands(code_lines(page.read_text()), "make")
    assert {word for _, *targets in words for word in targets if "=" not in word} <= make_targets()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_environments_of_tox_are_there(page: Path) -> None:
    words = commands(code_lines(page.read_text()), "tox")
    asked = [w[n + 1] for w in words for n, word in enumerate(w) if word == "-e"]
    assert set(asked) <= tox_environments()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_of_pytest_are_there(page: Path, pytestconfig: pytest.Config) -> None:
    words = commands(code_lines(page.read_text()), "pytest")
    for option in {word for line in words for word in line if re.match(r"--?[a-z]", word)}:
        if option not in ("--help", "-n"):  # -n is xdist's, which may not be loaded
            pytestconfig.getoption(option)  # ValueError: there is none


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_of_the_environment_are_read(page: Path) -> None:
    sources = "".join(file.read_text() for file in (ROOT / "harness").rglob("*.py"))
    assert [word for word in VARIABLE.findall(page.read_text()) if f'"{word}"' not in sources] == []


@pytest.mark.parametrize("kind", [Guest, Ssh, CommandResult, Executed], ids=lambda k: k.__name__)
def test_members_of_a_guest_are_on_the_page(kind: type) -> None:
    text = (ROOT / "docs/pytest.md").read_text()
    named = {*re.findall(r"\w+", " ".join(SPAN.findall(FENCE.sub("", text))))}
    fields = {field.name for field in dataclasses.fields(kind)} if is_dataclass(kind) else set()
    assert {name for name in vars(kind) if not name.startswith("_")} | fields <= named


def test_kinds_that_a_test_may_tolerate_are_on_the_page() -> None:
    spans = SPAN.findall((ROOT / "docs/pytest.md").read_text())
    assert set(TOLERABLE) <= set(spans)


def test_what_pages_say_of_pytest_comes_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = [w for page in PAGES for w in commands(code_lines(page.read_text()), "pytest")]
    options = {word for line in words for word in line}
    named = "".join(page.read_text() for page in PAGES)
    assert "-n" in options or "xdist's `-n`" in named
    assert any(needed.startswith("pytest-xdist") for needed in project["dependencies"])


def test_every_command_is_on_a_page() -> None:
    lines = (line for page in PAGES for line in code_lines(page.read_text()))
    shown = {word for words in commands(lines, "harness") for word in words[1:2]}
    assert {*command_names()} <= shown


def test_order_of_folders_is_that_of_the_imports() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    assert f"{', '.join(ORDER[: ORDER.index('cli') + 1])}." in text


# ---------------------------------------------------------------- CI


def schema_refuses(file: Path, schema: str) -> str:
    """Return what the published *schema*, as the checker has it with it, says against *file*."""
    argv = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("file", PIPELINES, ids=name)
def test_pipeline_follows_the_published_schema(file: Path) -> None:
    assert schema_refuses(file, PIPELINES[file]) == ""


def test_every_pipeline_is_checked() -> None:
    assert set((ROOT / "docs/ci").iterdir()) == set(PIPELINES)


# ---------------------------------------------------------------- the rules bite


def test_broken_pipeline_is_seen(tmp_path: Path) -> None:
    for file, schema in PIPELINES.items():
        broken = tmp_path / file.name
        broken.write_text(re.sub(r"^(\s*)(runs-on|stage): .*", r"\1\2: [[]]", file.read_text(),
                                 flags=re.M))  # fmt: skip
        assert "Schema validation errors" in schema_refuses(broken, schema)


def test_link_that_leads_nowhere_is_seen() -> None:
    page = ROOT / "README.md"
    text = "[a](docs/absent.md) [b](CHANGELOG.md) [c](CHANGELOG.md#absent) [d](#absent)"
    assert missing_links(page, text) == ["docs/absent.md", "CHANGELOG.md#absent", "#absent"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see `harness/verdict/judge.py`", []),
        ("see `harness/verdict/judges.py`", ["harness/verdict/judges.py"]),
        ("```\nruff check harness/absent\n```", ["harness/absent"]),
        ("`harness new load my-load` | `guest-tests/loads/my-load/`", []),
        ("`guest-tests/loads/my-load/`", ["guest-tests/loads/my-load"]),
        ("`ABSENT.md` and `README.md`", ["ABSENT.md"]),
    ],
)
def test_path_that_is_not_there_is_seen(text: str, wrong: list[str]) -> None:
    assert missing_paths(text) == wrong


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("harness run --arch arm64 --position 0-2  # both", True),
        ("HARNESS_TRACEBACK=1 harness run", True),
        (".venv/bin/harness runs", False),
        ("harness run --posture 4", False),
        ("- run: .venv/bin/harness run --arch ${{ matrix.arch }} --out", False),
        ("harness cache prune --size 4G", True),
    ],
)
def test_command_that_is_not_taken_is_seen(line: str, taken: bool) -> None:
    (words,) = commands(iter([line]), "harness")
    assert (refused(words) == "") is taken
