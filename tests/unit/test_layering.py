# SPDX-License-Identifier: GPL-2.0-only
"""The shape of the project itself: imports point one way, modules stay small and signed.

A new module needs no entry here: it counts as one with effects.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.arch import arch_names

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "harness"
SPDX = "# SPDX-License-Identifier: GPL-2.0-only"
MAX_LINES = 400

# From the ground up; a module imports from its own layer and those below. The longest name
# that fits decides: "harness.qemu.argv" before "harness.qemu".
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "ground",
        (
            "harness",
            "harness.errors",
            "harness.coverage_record",
            "harness.events",
            "harness.layout",
            "harness.model",
            "harness.record",
        ),
    ),
    (
        "pure",
        (
            "harness.arch",
            "harness.attribution",
            "harness.bisect",
            "harness.bootprofile",
            "harness.changes",
            "harness.deadline",
            "harness.episodes",
            "harness.frames",
            "harness.jsonio",
            "harness.kconfig",
            "harness.klog",
            "harness.ktap",
            "harness.linecount",
            "harness.plan",
            "harness.pressure",
            "harness.mutation",
            "harness.oom",
            "harness.oracle",
            "harness.qemu.argv",
            "harness.repeats",
            "harness.samples",
            "harness.splat",
            "harness.splat_rules",
            "harness.threshold",
            "harness.toll",
            "harness.traces",
            "harness.verdict",
        ),
    ),
    ("effects", ()),
    (
        "pipeline",
        ("harness.coverage", "harness.mutants", "harness.pipeline", "harness.ram_threshold"),
    ),
    (
        "thin",
        (
            "harness.__main__",
            "harness.cli",
            "harness.commands",
            "harness.one_guest",
            "harness.plan_options",
            "harness.pytest_plugin",
        ),
    ),
)
NAMES = [name for name, _ in LAYERS]
DEFAULT = NAMES.index("effects")

# What the pure modules may not reach for: the outside world.
WORLDLY = {
    "asyncio", "filelock", "multiprocessing", "paramiko", "pexpect", "qemu", "requests", "select",
    "shutil", "signal", "socket", "subprocess", "tempfile", "threading", "urllib",
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


def layer(module: str) -> int:
    """Return the height of *module*'s layer; packages pass theirs on to what is in them."""
    name = module
    while name:
        for height, (_, members) in enumerate(LAYERS):
            # The bare package "harness" is ground itself, but hands that on to nobody.
            if name in members and (name != "harness" or module == "harness"):
                return height
        name = name.rpartition(".")[0]
    return DEFAULT


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of everything that *file* imports, at any depth."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            for alias in node.names:
                # `from harness import store` means a module, `from harness.store import Store`
                # something in one.
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


@pytest.mark.parametrize("file", MODULES, ids=relative)
def test_imports_point_down(file: Path) -> None:
    wrong = from_above(dotted(file), file)
    assert not wrong, f"{dotted(file)} imports from above: {', '.join(wrong)}"


def from_above(module: str, file: Path) -> list[str]:
    """Return what *file*, imported as *module*, takes from layers above its own."""
    return [
        f"line {line}: {name} ({NAMES[layer(name)]}, not {NAMES[layer(module)]} or below)"
        for name, line in imports(file)
        if name.partition(".")[0] == "harness" and layer(name) > layer(module)
    ]


@pytest.mark.parametrize("file", [m for m in MODULES if layer(dotted(m)) < DEFAULT], ids=relative)
def test_pure_modules_touch_no_world(file: Path) -> None:
    worldly = {name.partition(".")[0] for name, _ in imports(file)} & WORLDLY
    assert not worldly, f"{dotted(file)} is pure, but imports {', '.join(sorted(worldly))}"


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


@pytest.mark.parametrize("file", MODULES, ids=relative)
def test_modules_stay_small(file: Path) -> None:
    count = len(file.read_text(encoding="utf-8").splitlines())
    assert count < MAX_LINES, f"{relative(file)} has {count} lines: split it"


# ---------------------------------------------------------------- the rules bite


def test_the_table_names_real_modules_and_each_once() -> None:
    named = [member for _, members in LAYERS for member in members]
    assert len(named) == len(set(named))
    assert [name for name in named if not is_module(name)] == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("harness", "ground"),
        ("harness.model", "ground"),
        ("harness.arch.arm64", "pure"),
        ("harness.qemu.argv", "pure"),
        ("harness.qemu.process", "effects"),
        ("harness.something_new", "effects"),
        ("harness.pipeline", "pipeline"),
        ("harness.commands.run", "thin"),
    ],
)
def test_layers_of_modules(module: str, name: str) -> None:
    assert NAMES[layer(module)] == name


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
    file.write_text("from harness import model\nfrom harness.pipeline import run_plan\n")
    assert len(from_above("harness.ktap", file)) == 1
    assert len(from_above("harness.something_new", file)) == 1
    assert from_above("harness.cli", file) == []


def test_imports_inside_functions_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def f():\n    from harness import store\n    import subprocess\n")
    assert list(imports(file)) == [("harness.store", 2), ("subprocess", 3)]
