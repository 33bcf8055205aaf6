# SPDX-License-Identifier: GPL-2.0-only
"""Show what is in the cache, verify it, remove entries.

An entry that is missing is made again when it is needed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.cache import ccache
from harness.cache.inventory import CCACHE, SOURCES, Item, Stock, take_stock
from harness.cache.prune import choose, parse_age, parse_size, remove, size_text
from harness.cache.store import damage as entry_damage
from harness.cache.verify import Checker, Damaged, inspect
from harness.host import process
from harness.host.files import sha256_of
from harness.model.errors import UserError
from harness.model.events import Stage
from harness.run.workspace import Workspace
from harness.source.apt import digest_file
from harness.source.trees import damage as source_damage

Act = Callable[[argparse.Namespace, Workspace], int]
HELP = "show the cache, verify it, prune it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions; the default is ``show``."""
    parser.set_defaults(act=show)
    parser.add_argument("--json", action="store_true", help="show as JSON")
    acts = parser.add_subparsers(metavar="show|verify|prune")

    def act(name: str, does: Act, text: str) -> argparse.ArgumentParser:
        sub = acts.add_parser(name, help=text, description=does.__doc__)
        sub.set_defaults(act=does)
        return sub

    shows = act("show", show, "entries, size on disk and last use, by kind")
    shows.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    verifies = act("verify", verify, "read everything; remove damaged entries")
    verifies.add_argument("--keep", action="store_true", help="report damage, remove nothing")
    prunes = act("prune", prune, "remove the least recently used entries")
    prunes.add_argument("--size", metavar="SIZE", help="down to this size on disk: 20G, 512M")
    prunes.add_argument(
        "--older-than", metavar="AGE", help="entries not used for this long: 14d, 12h"
    )
    prunes.add_argument(
        "--dry-run", action="store_true", help="list what would be removed, remove nothing"
    )


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Run the action."""
    return int(args.act(args, workspace))


# ---------------------------------------------------------------- show


def _take_stock(workspace: Workspace) -> Stock:
    workspace.report(Stage("cache", f"looking through {workspace.cache.root}"))
    stock = take_stock(workspace.cache)
    workspace.report(
        Stage("cache", f"{len(stock.items)} entries in {workspace.cache.root}", finished=True)
    )
    return stock


def show(args: argparse.Namespace, workspace: Workspace) -> int:
    """Print a line per kind. Sizes are disk usage; hard links to a file count once."""
    stock = _take_stock(workspace)
    counted = ccache.statistics(workspace.cache)
    workspace.settle()
    if args.json:
        print(json.dumps(_as_json(stock, counted, workspace), indent=1))
        return 0
    table = Table(title=str(workspace.cache.root), title_justify="left", box=None)
    for column in ("kind", "entries", "size", "last used"):
        table.add_column(column, justify="right" if column in ("entries", "size") else "left")
    for line in stock.by_kind():
        table.add_row(line.kind, str(line.entries), size_text(line.size), _day(line.last_used))
    table.add_row("locks, indexes", "", size_text(stock.other), "")
    table.add_row("total", str(len(stock.items)), size_text(stock.size), "", style="bold")
    console = Console(highlight=False)
    console.print(table)
    if counted is not None:
        asked = counted.hits + counted.misses
        share = f" ({100 * counted.hits / asked:.0f} %)" if asked else ""
        console.print(
            f"ccache: {counted.hits} hits{share}, {counted.misses} misses, "
            f"{size_text(counted.size)} of at most {counted.max_size}"
        )
    return 0


def _as_json(
    stock: Stock, counted: ccache.Statistics | None, workspace: Workspace
) -> dict[str, object]:
    """Sizes in bytes, times in ISO 8601 with their offset."""
    return {
        "cache": str(workspace.cache.root),
        "kinds": [
            {
                "kind": line.kind,
                "entries": line.entries,
                "bytes": line.size,
                "last_used": datetime.fromtimestamp(line.last_used).astimezone().isoformat(),
            }
            for line in stock.by_kind()
        ],
        "other_bytes": stock.other,
        "total_bytes": stock.size,
        "ccache": None if counted is None else asdict(counted),
    }


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


# ---------------------------------------------------------------- verify


def verify(args: argparse.Namespace, workspace: Workspace) -> int:
    """Read every entry and compare it with its digests; 0 when all are sound, else 1.

    A damaged entry is removed, and made again when it is needed; work trees of a damaged source
    are removed too, because they share its files.
    """
    stock = _take_stock(workspace)
    checkers: dict[Path, Checker] = {
        workspace.cache.store: lambda folder, _: entry_damage(folder, read_all=True),
        workspace.cache.sources: source_damage,
        workspace.cache.downloads: _download_damage,
    }
    found = inspect(stock, checkers, workspace.report)
    outcome = {} if args.keep else _remove_damaged(found, stock, workspace)
    workspace.settle()
    for damaged in found:
        print(f"damaged: {damaged.item.path}: {damaged.what}")
        if damaged.item.path in outcome:
            print(f"  {outcome[damaged.item.path]}")
    print(f"{len(stock.items)} entries, {len(found)} damaged")
    return 1 if found else 0


def _download_damage(path: Path, _: Callable[[int], None]) -> str:
    if path.is_dir():
        done = process.run(("git", f"--git-dir={path}", "fsck", "--no-dangling", "--no-progress"))
        return "" if done.ok else f"git fsck: {done.stderr.strip().partition(chr(10))[0]}"
    try:
        wanted = digest_file(path).read_text().strip()
    except FileNotFoundError:
        return ""  # apt's index will tell, when it is used
    if wanted in ("", sha256_of(path)):
        return ""
    return "its content is not what was downloaded"


def _remove_damaged(
    found: Sequence[Damaged], stock: Stock, workspace: Workspace
) -> dict[Path, str]:
    """Remove damaged entries; return the outcome of each."""
    bad = {damaged.item.path: damaged for damaged in found}
    sources = {path for path, damaged in bad.items() if damaged.item.kind == SOURCES}
    items = [item for item in stock.items if item.path in bad or item.needs & sources]

    def still(item: Item) -> bool:
        """Whether it is not a new one, made while the others were read."""
        return item.path not in bad or bad[item.path].still_there

    done = remove(items, stock, workspace.cache, workspace.report, still)
    outcome = {item.path: "removed; it is made again when it is needed" for item in done.gone}
    left = "left: a running harness uses it; verify again when that has ended"
    return outcome | {item.path: left for item in done.in_use}


# ---------------------------------------------------------------- prune


def prune(args: argparse.Namespace, workspace: Workspace) -> int:
    """Remove the least recently used entries, never those that a running harness uses.

    0 when the cache is as small as asked for, 1 when more than that is in use.
    """
    if args.size is None and args.older_than is None:
        raise UserError("prune needs a limit", hint="give --size 20G, --older-than 14d, or both")
    size = None if args.size is None else parse_size(args.size)
    since = None if args.older_than is None else time.time() - parse_age(args.older_than)
    stock = _take_stock(workspace)
    choice = choose(stock, stock.in_use(), size=size, unused_since=since)
    after = choice.after
    if not args.dry_run and choice.items:
        done = remove(choice.items, stock, workspace.cache, workspace.report)
        if len(done.gone) < len(choice.items):
            after = take_stock(workspace.cache).size
    workspace.settle()
    _print_pruned(choice.items, dry_run=args.dry_run)
    print(f"{size_text(choice.before)} before, {size_text(after)} after")
    if size is not None and after > size:
        print(f"more than {size_text(size)} is in use, or needed by entries in use")
        return 1
    return 0


def _print_pruned(items: Sequence[Item], *, dry_run: bool) -> None:
    """Print the removed entries; of ccache's thousands of results the number."""
    word = "would remove" if dry_run else "removed"
    for item in items:
        if item.kind != CCACHE:
            print(f"{word} {item.kind} {item.path}, last used {_day(item.last_used)}")
    results = sum(item.kind == CCACHE for item in items)
    if results:
        print(f"{word} {results} results of ccache")
