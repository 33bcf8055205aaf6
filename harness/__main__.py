# SPDX-License-Identifier: GPL-2.0-only
"""``harness`` and ``python -m harness``: ends well from the first moment to the last.

Here is nothing that an old Python cannot read, to tell that it is too old.
"""

import signal
import sys

PYTHON = (3, 11)


def main() -> int:
    """Run the command line; what it imports takes half a second, in which Ctrl-C may come, too."""
    if sys.version_info < PYTHON:
        found, needed = (".".join(map(str, v[:2])) for v in (sys.version_info, PYTHON))
        sys.stderr.write(
            f"harness: this is Python {found}, and the harness needs {needed} or newer\n"
            "harness: next: make .venv/ready finds one on this host\n"
        )
        return 3
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return _run()
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130


def _run() -> int:
    from harness.cli import failures, streams

    try:
        streams.in_utf8()
        streams.set_up()
        failures.watch_threads()
        code = 0
        try:
            code = _command_line()
        finally:
            sys.stdout.flush()
    except streams.ReaderGone:
        return _end_by_sigpipe()
    except streams.OutputLost as error:
        return code or failures.report(error)
    except BaseException as error:
        return failures.report(error)
    finally:
        failures.unwatch_threads()
        # Nothing of ours runs any more: Ctrl-C may end the interpreter's own clearing up.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return code


def _command_line() -> int:
    """Run the command line; argparse ends it by an exception."""
    try:
        from harness.cli.main import main as run

        return run()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def _end_by_sigpipe() -> int:
    """End as every program does whose output nobody reads: by the signal (141 to a shell)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.raise_signal(signal.SIGPIPE)
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
