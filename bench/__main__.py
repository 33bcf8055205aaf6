# SPDX-License-Identifier: GPL-2.0-only
"""``python -m bench``: measure, compare with the bars, and keep table and raw numbers.

Exit codes: 0 every row passes, 1 one misses its bar or could not be measured, 2 wrong usage,
3 the host failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench import results as kept
from bench.measure import groups_of, measure
from bench.model import Row
from bench.rows import all_rows, select
from bench.table import terse, write
from bench.testbed import CELLS, CLONES, open_testbed
from harness.host.paths import Cache, default_cache, find_checkout
from harness.model.errors import HarnessError
from harness.report.terminal.view import View
from harness.run.workspace import Workspace

HERE = Path(__file__).parent


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    made = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    made.add_argument("--rows", default="", metavar="LIST",
                      help="rows by name or glob: clone,cold*,sweep (default: all)")  # fmt: skip
    made.add_argument("--runs", type=int, metavar="N", help="runs of each contender")
    made.add_argument("--cells", type=int, default=CELLS, metavar="N",
                      help=f"isolated guest tests in a row; kept only with {CELLS}")  # fmt: skip
    made.add_argument("--clones", type=int, default=CLONES, metavar="N",
                      help=f"clones in a row of the soak; kept only with {CLONES}")  # fmt: skip
    made.add_argument("--cache", type=Path, metavar="FOLDER", help="cache (default: XDG)")
    made.add_argument("--list", action="store_true", help="say what rows there are")
    made.add_argument("--dry", action="store_true", help="measure, but keep nothing")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        rows = select(all_rows(), [name for name in args.rows.split(",") if name])
        if args.list:
            print("\n".join(f"{row.name:22}{row.title}" for row in rows))
            return 0
        return _run(args, rows)
    except HarnessError as error:
        print(f"bench: {error.what}\n{error.detail}".rstrip(), file=sys.stderr)
        if error.hint:
            print(f"bench: next: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace, rows: Sequence[Row]) -> int:
    """Measure group by group; what is measured is kept even if the next group fails."""
    cache = Cache(args.cache.resolve()) if args.cache else default_cache()
    order = tuple(row.name for row in all_rows())
    keep = not args.dry and (args.cells, args.clones) == (CELLS, CLONES)
    worst = 0
    with View(Console(stderr=True, highlight=False), live=False) as view:
        workspace = Workspace(find_checkout(HERE), cache, report=view)
        conditions = kept.conditions(workspace.checkout)
        with open_testbed(workspace, args.cells, args.clones) as testbed:
            for group in groups_of(rows, args.runs):
                measured, others = measure(group, testbed, _tell)
                under = replace(conditions, others=round(others, 2))
                new = kept.results_of(group, measured, under)
                if keep:
                    whole = kept.merged(kept.load(HERE), new, order)
                    kept.save(whole, HERE)
                    write(whole, HERE / "README.md")
                for result in new.rows:
                    print(terse(result), flush=True)
                    worst |= result.verdict in ("miss", "not measured")
    return worst


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl-C: end what runs, keep what is measured."""
    raise KeyboardInterrupt


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
