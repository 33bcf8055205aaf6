# SPDX-License-Identifier: GPL-2.0-only
"""The shape of the project itself: folders import one way, no circle, pure ones touch no world.

A new module needs no entry here: its folder says what it may import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from harness.arch import arch_names

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "harness"
SPDX = "# SPDX-License-Identifier: GPL-2.0-only"

# From the ground up: a module imports from its own folder and from those before it.
ORDER = (
    "model", "host", "arch", "cache", "plan", "source", "build", "guest", "verdict", "run",
    "analysis", "report", "cli", "pytest_plugin", "__main__",
)  # fmt: skip
PURE = ("model", "arch", "verdict")

# All that pure folders may import beside each other: what reaches no file, process or clock.
# pathlib is there for paths as values, importlib and pkgutil find the files of arch/, and os is
# errno's words.
PLAIN = {
    "__future__", "bisect", "collections", "dataclasses", "difflib", "enum", "errno", "fnmatch",
    "hashlib", "importlib", "itertools", "json", "math", "os", "pathlib", "pkgutil", "pydantic",
    "re", "typing", "unicodedata",
}  # fmt: skip
# What would reach them all the same.
OPENERS = {
    "open", "exec", "eval", "__import__", "read_text", "write_text", "read_bytes", "write_bytes",
    "exists", "is_file", "is_dir", "iterdir", "glob", "rglob", "mkdir", "unlink", "stat", "resolve",
    "system", "popen", "listdir", "environ", "getenv", "getcwd", "getpid", "kill", "remove",
}  # fmt: skip

MODULES = sorted(PACKAGE.rglob("*.py"))
OURS = [
    *MODULES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "bench").rglob("*.py")),
    *sorted((ROOT / "guest-tests").rglob("*.py")),
]


def dotted(file: Path) -> str:
    """Return the name under which the module in *file* is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def height(module: str) -> int:
    """Return the place of *module*'s folder in the order; the bare package lies below all."""
    return ORDER.index(module.split(".")[1]) if "." in module else -1


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of everything that *file* imports, at any depth."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            for alias in node.names:
                # `from harness.cache import store` means a module, `from harness.cache.store import
                # Store` something in one.
                whole = f"{node.module}.{alias.name}"
                yield (whole if is_module(whole) else str(node.module)), node.lineno


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


# ---------------------------------------------------------------- the rules


def test_order_names_every_folder_once() -> None:
    found = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in MODULES}
    assert found - {"__init__"} == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("file", MODULES, ids=relative)
def test_imports_point_down(file: Path) -> None:
    wrong = from_above(dotted(file), file)
    assert not wrong, f"{dotted(file)} imports from above: {', '.join(wrong)}"


def from_above(module: str, file: Path) -> list[str]:
    """Return what *file*, imported as *module*, takes from folders above its own."""
    return [
        f"line {line}: {name}"
        for name, line in imports(file)
        if name.partition(".")[0] == "harness" and height(name) > height(module)
    ]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {dotted(file): [name for name, _ in imports(file)] for file in MODULES}
    assert circle(graph) == []


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the modules of a circle in *graph* (module: what it imports), [] if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def world_of(file: Path) -> list[str]:
    """Return the lines of *file* that reach for something outside, or for a folder that does."""
    wrong = []
    for name, line in imports(file):
        top, _, rest = name.partition(".")
        inside = top == "harness" and (not rest or rest.split(".")[0] in PURE)
        if not inside and top not in PLAIN:
            wrong.append(f"line {line}: imports {name}")
    for node in ast.walk(tree_of(file)):
        name = getattr(node, "attr", getattr(node, "id", ""))
        if isinstance(node, ast.Name | ast.Attribute) and name in OPENERS:
            wrong.append(f"line {node.lineno}: {name}")
    return wrong


@pytest.mark.parametrize(
    "file", [m for m in MODULES if m.relative_to(PACKAGE).parts[0] in PURE], ids=relative
)
def test_pure_modules_touch_no_world(file: Path) -> None:
    assert world_of(file) == []


def architecture_tests(tree: ast.Module, known: set[str]) -> list[int]:
    """Return the lines of *tree* that compare something with an architecture's name."""

    def names_one(node: ast.expr) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(names_one(element) for element in node.elts)
        return isinstance(node, ast.Constant) and node.value in known

    compared = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and any(map(names_one, (node.left, *node.comparators)))
    ]
    matched = [
        node.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.MatchValue) and names_one(node.value)
    ]
    return compared + matched


@pytest.mark.parametrize(
    "file", [m for m in MODULES if not m.is_relative_to(PACKAGE / "arch")], ids=relative
)
def test_nothing_asks_which_architecture_it_has(file: Path) -> None:
    lines = architecture_tests(tree_of(file), set(arch_names()))
    assert not lines, f"{relative(file)}: lines {lines}: put what differs into harness/arch"


@pytest.mark.parametrize("file", OURS, ids=relative)
def test_every_module_says_its_license(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[:2]
    assert SPDX in first or (not first and file.name == "__init__.py")


def misplaced(tests: Path) -> list[str]:
    """Return the tests below *tests* that are named after no module of the folder they mirror.

    ``verdict/test_judge.py`` and ``verdict/test_judge_oom_kills.py`` are both of ``judge``.
    """
    wrong = []
    for file in sorted(tests.rglob("test_*.py")):
        folder = file.relative_to(tests).parent
        source = ROOT / "bench" if folder.parts[:1] == ("bench",) else PACKAGE / folder
        stem = file.stem.removeprefix("test_")
        modules = [path.stem for path in source.glob("*") if path.stem != "__init__"]
        if not any(stem == name or stem.startswith(f"{name}_") for name in modules):
            wrong.append(str(file.relative_to(tests)))
    return wrong


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_each_test_mirrors_a_module(kind: str) -> None:
    of_the_project = ["test_docs.py", "test_layering.py"] if kind == "unit" else []
    assert misplaced(ROOT / "tests" / kind) == of_the_project


# ---------------------------------------------------------------- the rules bite


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("if arch.name == 'arm64': pass", True),
        ("x = 1 if 'x86_64' != cell.arch else 2", True),
        ("if name in ('arm64', 'other'): pass", True),
        ("match arch.name:\n  case 'arm64': pass", True),
        ("plan = Plan(arch=('arm64', 'x86_64'))", False),
        ("if arch.name == other.name: pass", False),
    ],
)
def test_comparing_with_an_architectures_name_is_seen(code: str, caught: bool) -> None:
    assert bool(architecture_tests(ast.parse(code), {"arm64", "x86_64"})) is caught


def test_an_import_from_above_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("from harness.host import process\nfrom harness.run.matrix import run_plan\n")
    assert from_above("harness.verdict.ktap", file) == ["line 2: harness.run.matrix"]
    assert len(from_above("harness.model.values", file)) == 2
    assert from_above("harness.cli.main", file) == []


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "import ctypes",
        "from harness.host import process",
        "from harness.cache import store",
        "X = open('/etc/passwd').read()",
        "import os\nos.system('true')",
        "from pathlib import Path\nPath('/etc').iterdir()",
    ],
)
def test_a_reach_for_the_world_is_seen(tmp_path: Path, code: str) -> None:
    file = tmp_path / "module.py"
    file.write_text(code + "\n")
    assert len(world_of(file)) == 1


def test_a_circle_of_imports_is_seen() -> None:
    assert set(circle({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})) == {"a", "b", "c"}
    assert circle({"a": ["b", "c"], "b": ["c"]}) == []


def test_imports_inside_functions_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def f():\n    from harness.cache import store\n    import subprocess\n")
    assert list(imports(file)) == [("harness.cache.store", 2), ("subprocess", 3)]


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """pytest skips folders of some names without a word, "build" among them by default."""
    patterns = pytestconfig.getini("norecursedirs")
    folders = {file.parent for file in (ROOT / "tests").rglob("test_*.py")}
    parts = {part for folder in folders for part in folder.relative_to(ROOT).parts}
    assert parts
    assert [p for p in sorted(parts) if any(fnmatchcase(p, pattern) for pattern in patterns)] == []
