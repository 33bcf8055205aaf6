# SPDX-License-Identifier: GPL-2.0-only
"""The ``harness`` command.

Exit codes: 0 all as expected, 1 a verdict differs from what was expected, 2 the request is
wrong, 3 the host or the harness failed, 130 interrupted. Nobody reads the output: SIGPIPE, 141.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from harness import __version__
from harness.cli import failures
from harness.cli.arguments import Parser
from harness.cli.commands import command_names, load_command
from harness.host.paths import cache_at, default_cache, find_checkout, require_writable
from harness.model.errors import UserError
from harness.model.text import visible
from harness.report.terminal.view import View
from harness.run.kernel_failed import KernelFailed
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
    """Run one command; whatever ends it is one clear line on stderr."""
    words = _joined(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _check_text(words)
        args = build_parser(words).parse_args(words)
        with View(Console(stderr=True, highlight=False)) as view:
            checkout = find_checkout(args.root, only_there=args.root is not None)
            cache = cache_at(args.cache, "--cache") if args.cache else default_cache()
            if getattr(args, "out", None) is not None:
                require_writable(args.out, "--out")
            workspace = Workspace(checkout, cache, report=view, settle=view.close)
            code = load_command(args.command).execute(args, workspace)
            failures.raise_of_threads()
            return code
    except SystemExit:
        raise
    except KernelFailed as failed:
        print(f"harness: {failed.text}", file=sys.stderr)
        return 1
    except BaseException as error:
        return failures.report(error)


def _joined(words: Sequence[str]) -> list[str]:
    """Return *words* with the value of ``--qemu-arg -device`` in one word with its option.

    argparse would take it for an option of ours.
    """
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in ("--append", "--qemu-arg"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _check_text(words: Sequence[str]) -> None:
    """Check that every argument is text: all of them may end up in a file, which is UTF-8.

    Raises:
        UserError: one is not, in the encoding of this locale.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"argument '{visible(os.fsencode(word))}' is no text in this locale's encoding, "
                f"{sys.getfilesystemencoding()}",
                hint="rename what it names, or set a locale that has it, as LC_ALL=C.UTF-8",
            ) from None


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM (a CI that cancels) as Ctrl-C: stop guests, keep finished cells."""
    raise KeyboardInterrupt
