# SPDX-License-Identifier: GPL-2.0-only
"""Reasons why Kconfig dropped a symbol, by kconfiglib on the tree itself.

kconfiglib takes its settings (srctree, ARCH, the compiler) from the environment and runs the
tree's scripts in the working folder, so it runs in a process of its own: this file as a program.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.build.kconfig import Dropped
from harness.host import process

UNKNOWN = "no such symbol in this kernel"
_DEADLINE_S = 120.0
_NEWER = re.compile(r"^[ \t]+(?:modules|transitional)[ \t]*$", re.M)
_CONDITIONAL = re.compile(r"^([ \t]+depends on )([^#\n]+?) if ([^#\n]+)$", re.M)


def explain(
    lost: Sequence[Dropped], config: Path, env: Mapping[str, str], cwd: Path
) -> dict[str, str]:
    """Return one line for each dropped symbol: the dependency that is not met, as far as known.

    *env* is what the tree's Kconfig files read (srctree, SRCARCH, CC, ...), *config* the final
    .config, *cwd* the build folder.
    """
    request = {
        "config": str(config),
        "symbols": [[item.asked.symbol, item.asked.value] for item in lost],
    }
    argv = (sys.executable, "-m", __name__)
    done = process.run(argv, cwd=cwd, env=env, stdin=json.dumps(request), deadline_s=_DEADLINE_S)
    try:
        answers: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        # A Kconfig language newer than kconfiglib's. That the symbol was dropped stands.
        answers = {}
    nothing = "its dependency is not known: kconfiglib cannot read this kernel's Kconfig files"
    return {item.asked.symbol: answers.get(item.asked.symbol, nothing) for item in lost}


# ---------------------------------------------------------------- in the other process


def main() -> None:
    """Read a request from stdin, write the answers to stdout, both as JSON."""
    import kconfiglib  # only this process needs it

    request = json.load(sys.stdin)
    tree = load(kconfiglib)
    tree.load_config(request["config"])
    answers = {symbol: reason(tree, symbol, value) for symbol, value in request["symbols"]}
    json.dump(answers, sys.stdout)


def load(kconfiglib: Any) -> Any:
    """Read the tree's Kconfig files, those of newer kernels included."""

    class Newer(kconfiglib.Kconfig):  # type: ignore[misc]
        """kconfiglib knows the language of 5.10; what came later is put in its words.

        A bare ``modules`` (6.1 has it) marks the symbol that kconfiglib knows by its name anyway,
        and ``transitional`` (7.2) one that is read from old configs only: both are left out.
        ``depends on A if B`` (7.2) asks for A only where B is on.
        """

        def _open(self, filename: str, mode: str) -> Any:
            if mode != "r":
                return super()._open(filename, mode)
            with super()._open(filename, mode) as file:
                text = file.read()
            return io.StringIO(_CONDITIONAL.sub(r"\1(\2) || !(\3)", _NEWER.sub("", text)))

    return Newer(warn=False)


def reason(tree: Any, name: str, wanted: str) -> str:
    """Say in one line why symbol *name* of a loaded kconfiglib tree does not have *wanted*."""
    import kconfiglib

    symbol = tree.syms.get(name)
    if symbol is None or not symbol.nodes:
        return UNKNOWN
    level = kconfiglib.STR_TO_TRI.get(wanted)
    if symbol.type not in (kconfiglib.BOOL, kconfiglib.TRISTATE):
        level = 1 if level is None else level
    elif level is None:
        return f"it is a {kconfiglib.TYPE_TO_STR[symbol.type]}, so {wanted} is no value for it"
    if symbol.tri_value > level:
        return _forced(kconfiglib, symbol)
    if kconfiglib.expr_value(symbol.direct_dep) < level:
        return f"unmet: {_unmet(kconfiglib, symbol.direct_dep, level)}"
    chosen = symbol.choice.selection if symbol.choice is not None else None
    if chosen is not None and chosen is not symbol:
        return f"another of the same choice is set: {chosen.name}"
    prompts = [node.prompt for node in symbol.nodes if node.prompt]
    if not prompts:
        return "it has no prompt: it is only ever selected by other symbols"
    shown = max(prompts, key=lambda prompt: kconfiglib.expr_value(prompt[1]))
    if kconfiglib.expr_value(shown[1]) < level:
        return f"unmet: {_unmet(kconfiglib, shown[1], level)}"
    if symbol.orig_type == kconfiglib.TRISTATE and wanted == "m":
        return "unmet: MODULES [=n]"
    for low, high, condition in symbol.ranges:
        if kconfiglib.expr_value(condition):
            return f"its value must lie between {low.str_value} and {high.str_value}"
    return f"its value is {symbol.str_value}, and nothing forbids {wanted}"


def _forced(kconfiglib: Any, symbol: Any) -> str:
    """Name what selects a symbol that was to be off, or why it cannot be switched off."""
    selects = [
        kconfiglib.expr_str(part, _with_value(kconfiglib))
        for part in kconfiglib.split_expr(symbol.rev_dep, kconfiglib.OR)
        if kconfiglib.expr_value(part) > 0
    ]
    if selects:
        return f"it is selected by {' || '.join(selects)}"
    if symbol.visibility > 0 and symbol.choice is None:
        return f"its value is {symbol.str_value}, and nothing forbids n"
    if symbol.choice is not None:
        return "it is the default of its choice: ask for another of that choice"
    return "it has no prompt here, and its default is on"


def _unmet(kconfiglib: Any, expression: Any, level: int) -> str:
    """Return the parts of an and-expression that are below *level*, with the values they have."""
    parts = kconfiglib.split_expr(expression, kconfiglib.AND)
    low = [part for part in parts if kconfiglib.expr_value(part) < level]
    texts = dict.fromkeys(kconfiglib.expr_str(part, _with_value(kconfiglib)) for part in low)
    return " && ".join(texts)


def _with_value(kconfiglib: Any) -> Any:
    def text(item: Any) -> str:
        name = str(kconfiglib.standard_sc_expr_str(item))
        constant = getattr(item, "is_constant", False)
        return name if constant else f"{name} [={item.str_value}]"

    return text


if __name__ == "__main__":
    main()
