# SPDX-License-Identifier: GPL-2.0-only
"""Words of the user's on the kernel's command line and on QEMU's, and those that may not be there.

The harness hears a guest on channels of its own and tells its end by QEMU's: what would break
that, or is said by another option, is refused before anything is built.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from harness.model.errors import UserError

# Of the 2048 bytes that x86 and arm64 have for it, the harness' own parameters take a part.
CMDLINE_LIMIT = 1024
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_LOG = "the harness reads the kernel's log from its own console"
_END = "a panic ends the guest, and the harness sees it by that"
_PID_1 = "PID 1 of a guest is the harness' own"
# By parameter, spelt with "_".
_PARAMETERS: Mapping[str, str] = {
    **dict.fromkeys(
        ("console", "quiet", "loglevel", "printk.time", "printk.devkmsg", "printk.disable"), _LOG
    ),
    **dict.fromkeys(("panic", "oops", "softlockup_panic", "hung_task_panic"), _END),
    **dict.fromkeys(("init", "rdinit", "initrd", "noinitrd", "root", "--"), _PID_1),
    **dict.fromkeys(("kunit.enable", "kunit.autorun"), "the tests are KUnit's"),
    **dict.fromkeys(("nr_cpus", "maxcpus", "nosmp"), "say it by --cpus"),
    "mem": "say it by --ram",
}
_CHANNELS = "the harness has channels of its own to QEMU and to the guest"
_MACHINE = "it is given by --arch, --accel, --cpus and --ram"
_KERNEL = "the harness boots what it has built; kernel parameters are given by --append"
_ENDS = "QEMU's end is the guest's"
_NO_GUEST = "QEMU would not run a guest"
_SAFE = "a kernel under test gets no access to this host"
# By option, without dashes.
_OPTIONS: Mapping[str, str] = {
    **dict.fromkeys(
        ("qmp", "qmp-pretty", "mon", "monitor", "serial", "nographic", "display", "curses"),
        _CHANNELS,
    ),
    **dict.fromkeys(("M", "machine", "accel", "enable-kvm", "m", "smp", "mem-path"), _MACHINE),
    **dict.fromkeys(("kernel", "initrd", "append", "incoming", "loadvm"), _KERNEL),
    **dict.fromkeys(("daemonize", "no-shutdown", "no-reboot", "action", "reboot"), _ENDS),
    **dict.fromkeys(("h", "help", "version", "S", "preconfig"), _NO_GUEST),
    **dict.fromkeys(
        ("sandbox", "runas", "chroot", "semihosting", "semihosting-config"), _SAFE
    ),
    **dict.fromkeys(("s", "gdb"), "let gdb attach with: harness shell --gdb SOCKET"),
}  # fmt: skip


def parse_append(value: object) -> tuple[str, ...]:
    """Return kernel parameters: 'a=1 b="x y"', or a list of such texts.

    Raises:
        UserError: one is not printable ASCII, has an odd quote, or is not allowed.
    """
    words: list[str] = []
    for text in _texts(value, "kernel parameters"):
        # What is left between words is blanks, or a quote without its other half.
        if not (text.isascii() and text.isprintable()) or '"' in _WORD.sub("", text):
            raise UserError(
                f"{text!r} cannot be kernel parameters: allowed are printable ASCII characters, "
                "and quotes in pairs"
            )
        words += _WORD.findall(text)
    for word in words:
        name = word.replace('"', "").partition("=")[0].replace("-", "_")
        name = "--" if word == "--" else name
        if name in _PARAMETERS or name.startswith("harness."):
            why = _PARAMETERS.get(name, "it is the harness' own")
            raise UserError(f"kernel parameter '{word}' is not allowed: {why}")
    if sum(len(word) + 1 for word in words) > CMDLINE_LIMIT:
        raise UserError(f"more than {CMDLINE_LIMIT} characters of kernel parameters")
    return tuple(words)


def parse_qemu_args(value: object) -> tuple[str, ...]:
    """Return arguments of QEMU's: "-device virtio-rng-pci", or a list of such texts.

    Each is a text that :func:`qemu_words` splits.

    Raises:
        UserError: one is no option of QEMU's, or is not allowed.
    """
    texts = _texts(value, "arguments of QEMU's")
    try:
        words = qemu_words(texts)
    except ValueError as error:
        raise UserError(f"{value!r} cannot be arguments of QEMU's: {error}") from None
    if not words or not words[0].startswith("-"):
        raise UserError(
            f"{value!r} does not begin with an option of QEMU's: allowed are '-device NAME', ..."
        )
    for word in words:
        name = word.removeprefix("-").removeprefix("-") if word.startswith("-") else ""
        # QEMU would print what it knows, and end well: not even as a guest that fails to boot.
        if name in _OPTIONS or re.search(r"(^|[,=])(help|\?)(=|,|$)", word):
            why = _OPTIONS.get(name, _NO_GUEST)
            raise UserError(f"QEMU's '{word}' is not allowed: {why}")
        if "\0" in word:
            raise UserError(f"{word!r} cannot be an argument of QEMU's")
    return texts


def qemu_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the words of *texts*, each split as a shell does it.

    Raises:
        ValueError: a quote has no other half.
    """
    return tuple(word for text in texts for word in shlex.split(text))


def _texts(value: object, what: str) -> tuple[str, ...]:
    texts = value if isinstance(value, list | tuple) else [value]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"{value!r} must be {what}, as one text or several")
    return tuple(texts)
