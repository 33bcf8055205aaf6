# SPDX-License-Identifier: GPL-2.0-only
"""The ``harness`` command.

Exit codes: 0 all as expected, 1 a verdict differs from what was expected, 2 the request is
wrong, 3 the host or the harness failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from harness import __version__
from harness.cli.arguments import Parser
from harness.cli.commands import command_names, load_command
from harness.host.paths import Cache, default_cache, find_checkout
from harness.model.errors import HarnessError, InfraError, Interrupted
from harness.report.terminal.view import View
from harness.run.workspace import Workspace

EPILOG = """\
exit codes: 0 all as expected, 1 a verdict differs, 2 wrong usage, 3 the host or the harness
failed (try again), 130 interrupted"""


def build_parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser with every command of ``harness.cli.commands``.

    If *argv* names one, with that alone: the imports of the others take longer than most
    commands run.
    """
    parser = Parser(
        prog="harness",
        description="Build, boot and test a kernel at every position of a patch series.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"harness {__version__}")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="checkout (default: found)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="cache (default: XDG)")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in _chosen(argv) or command_names():
        command = load_command(name)
        sub = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        command.add_arguments(sub)
    return parser


def _chosen(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the command in *argv*: the first word that is neither option nor value of one."""
    words = iter(argv)
    for word in words:
        if word in ("--root", "--cache"):
            next(words, None)
        elif not word.startswith("-"):
            return (word,) if word in command_names() else ()
    return ()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an expected failure is one clear line on stderr."""
    words = sys.argv[1:] if argv is None else argv
    args = build_parser(words).parse_args(words)
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(stderr=True, highlight=False)
    try:
        with View(console) as view:
            checkout = find_checkout(args.root, only_there=args.root is not None)
            cache = Cache(args.cache.resolve()) if args.cache else default_cache()
            workspace = Workspace(checkout, cache, report=view, settle=view.close)
            return load_command(args.command).execute(args, workspace)
    except HarnessError as error:
        return _print_error(error)
    except KeyboardInterrupt:
        return _print_error(Interrupted("interrupted"))
    except BrokenPipeError:
        # The reader of stdout has gone (`harness list | head`); the flush at exit would fail too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _print_error(_from_os(error))


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM (a CI that cancels) as Ctrl-C: stop guests, keep finished cells."""
    raise KeyboardInterrupt


def _from_os(error: OSError) -> InfraError:
    where = f": {error.filename}" if error.filename else ""
    hints = {
        errno.ENOSPC: "free some space, or move the cache with --cache FOLDER",
        errno.EACCES: "check who owns it, or choose another place with --cache or --out",
    }
    hint = hints.get(error.errno or 0, "set HARNESS_TRACEBACK=1 to see where it came from")
    failure = InfraError(f"{error.strerror or error}{where}", hint=hint)
    failure.__cause__ = error
    return failure


def _print_error(error: HarnessError) -> int:
    if os.environ.get("HARNESS_TRACEBACK"):
        traceback.print_exception(error)
    print(*error.lines, sep="\n", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
