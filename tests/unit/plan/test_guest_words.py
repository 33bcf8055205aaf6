# SPDX-License-Identifier: GPL-2.0-only
"""Words of the user's for a guest's kernel and for QEMU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.plan.guest_words import CMDLINE_LIMIT, parse_append, parse_qemu_args, qemu_words
from tests.unit.checkout import error_of


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nokaslr", ("nokaslr",)),
        ("  a=1   b=2,3 ", ("a=1", "b=2,3")),
        ('dyndbg="file x.c +p" b', ('dyndbg="file x.c +p"', "b")),
        (["a", "b c"], ("a", "b", "c")),
        ("panic_on_warn=1 initcall_debug", ("panic_on_warn=1", "initcall_debug")),
    ],
)
def test_kernel_parameters_are_words(value: object, words: tuple[str, ...]) -> None:
    assert parse_append(value) == words
    assert parse_append(list(words)) == words


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("console=ttyS1", "console"),
        ("a console", "console"),
        ('"console=ttyS1"', "console"),
        ("panic=0", "panic"),
        ("softlockup-panic=0", "--append|panic"),
        ("printk.devkmsg=off", "log"),
        ("rdinit=/bin/sh", "PID 1"),
        ("a -- b", "PID 1"),
        ("harness.shell", "harness'"),
        ("mem=64M", "--ram"),
        ("nr_cpus=1", "--cpus"),
        ("nosmp", "--cpus"),
    ],
)
def test_parameter_that_would_break_a_guest_is_refused(value: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        parse_append(value)


@pytest.mark.parametrize("value", ["", " ", [], 3, ['a="'], "a\nb", "a\0", "é", "\t", ["a", ""]])
def test_what_cannot_be_kernel_parameters_is_refused(value: object) -> None:
    assert error_of(parse_append, value)


def test_kernel_parameters_have_a_limit() -> None:
    assert parse_append("x" * (CMDLINE_LIMIT - 1))
    assert str(CMDLINE_LIMIT) in error_of(parse_append, "x" * CMDLINE_LIMIT)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("-device virtio-rng-pci,id=a", ("-device", "virtio-rng-pci,id=a")),
        (["-cpu", "max,-foo"], ("-cpu", "max,-foo")),
        (["-drive 'file=/a b,if=none'", "-no-hpet"], ("-drive", "file=/a b,if=none", "-no-hpet")),
    ],
)
def test_arguments_of_qemu_are_split_as_by_a_shell(value: object, words: tuple[str, ...]) -> None:
    texts = parse_qemu_args(value)
    assert qemu_words(texts) == words
    assert parse_qemu_args(list(texts)) == texts


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("-daemonize", "end"),
        ("--daemonize", "end"),
        ("-qmp stdio", "channels"),
        ("-cpu max -serial stdio", "channels"),
        ("-m 64M", "--ram"),
        ("-machine virt", "--arch"),
        ("-kernel x", "--append"),
        ("-s", "--gdb"),
        ("-S", "run"),
        ("-help", "run"),
        ("-device help", "run"),
        ("-device virtio-rng-pci,help", "run"),
        ("-cpu ?", "run"),
        ("-sandbox off", "access"),
        ("virtio-rng-pci", "begin"),
        ("-drive 'x", "quotation"),
        ("", "text"),
        ([], "text"),
        (["-a\0"], "cannot be"),
    ],
)
def test_argument_that_would_break_a_guest_is_refused(value: object, why: str) -> None:
    with pytest.raises(UserError, match=why):
        parse_qemu_args(value)


@given(st.text())
def test_any_text_is_words_or_refused(text: str) -> None:
    for parse in (parse_append, parse_qemu_args):
        try:
            words = parse(text)
        except UserError:
            continue
        assert words
        assert all(words)
