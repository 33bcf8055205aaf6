# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.kconfig import (
    Asked,
    Fragment,
    digest,
    dropped,
    laid_over,
    make_variables,
    merge,
    merged_text,
    parse_config,
    parse_fragment,
    read_fragments,
    same_value,
    topic_files,
)
from harness.model.errors import UserError


def test_parse_fragment_of_settings_and_comments() -> None:
    fragment = parse_fragment(
        "base",
        "# SPDX-License-Identifier: x\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n"
        'CONFIG_D="a \\"b\\""\nCONFIG_E=0x10\nCONFIG_F=-3\nCONFIG_G=n\n# A word on CONFIG_H.\n',
    )
    assert fragment.topic == "base"
    assert fragment.values == {
        "A": "y", "B": "n", "C": "m", "D": '"a \\"b\\""', "E": "0x10", "F": "-3", "G": "n",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["CONFIG_A", "A=y", "CONFIG_A=yes", "CONFIG_A=", "set A"])
def test_parse_fragment_with_a_line_that_is_no_setting_names_it(line: str) -> None:
    with pytest.raises(UserError, match=r"base\.config:2: not a setting"):
        parse_fragment("base", f"CONFIG_B=y\n{line}\n")


def test_parse_fragment_with_a_symbol_set_twice_names_it() -> None:
    with pytest.raises(UserError, match=r"base\.config:2: CONFIG_A is set to y and to n"):
        parse_fragment("base", "CONFIG_A=y\n# CONFIG_A is not set\n")


def test_merge_is_sorted_and_keeps_the_first_topic() -> None:
    one = parse_fragment("one", "CONFIG_B=y\nCONFIG_N=16\n")
    two = parse_fragment("two", "CONFIG_A=m\nCONFIG_B=y\nCONFIG_N=0x10\n")
    merged = merge((one, two))
    assert merged == (Asked("A", "m", "two"), Asked("B", "y", "one"), Asked("N", "16", "one"))
    assert merged_text(merged) == "CONFIG_A=m\nCONFIG_B=y\nCONFIG_N=16\n"
    assert digest(merge((two, one))) != digest(merge((one,)))


def test_merge_of_a_contradiction_names_fragments_symbol_and_values() -> None:
    one = parse_fragment("one", "CONFIG_A=y\n")
    two = parse_fragment("two", "# CONFIG_A is not set\n")
    with pytest.raises(UserError) as caught:
        merge((one, two))
    for word in ("one.config", "two.config", "CONFIG_A", "y", "n"):
        assert word in caught.value.what


def test_asked_n_is_written_as_not_set() -> None:
    assert merged_text(merge((parse_fragment("a", "CONFIG_A=n\n"),))) == "# CONFIG_A is not set\n"


def test_dropped_is_what_the_final_config_does_not_grant() -> None:
    asked = merge(
        (parse_fragment("t", 'CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\nCONFIG_D=n\nCONFIG_E="x"\n'
                             "CONFIG_F=16\nCONFIG_G=y\n"),)
    )  # fmt: skip
    final = parse_config(
        'CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_D=y\nCONFIG_E="y"\nCONFIG_F=0x10\n'
    )
    lost = {item.asked.symbol: item.got for item in dropped(asked, final)}
    assert lost == {"B": "y", "D": "y", "E": '"y"', "G": "n"}


def test_dropped_leaves_out_what_may_be_dropped_on_that_arch_only() -> None:
    base = parse_fragment("base", "CONFIG_STACK=y\n")
    asan = parse_fragment(
        "asan",
        "CONFIG_ASAN=y\nCONFIG_SHADOW=y\n"
        "# CONFIG_SHADOW may be dropped without CONFIG_HAVE_SHADOW\n"
        "# CONFIG_STACK may be dropped without CONFIG_HAVE_SHADOW\n"
        "# CONFIG_NOBODY_ASKS may be dropped without CONFIG_HAVE_SHADOW\n",
    )

    def lost(*fragments: Fragment, final: str) -> list[str]:
        return [one.asked.symbol for one in dropped(merge(fragments), parse_config(final))]

    assert lost(asan, base, final="CONFIG_ASAN=y\n") == []
    assert lost(base, asan, final="") == ["ASAN"]
    assert lost(base, asan, final="CONFIG_HAVE_SHADOW=y\nCONFIG_ASAN=y\n") == ["SHADOW", "STACK"]
    assert lost(base, final="") == ["STACK"]
    # It says what is let pass, not what is asked for: the kernel stays the same one.
    assert merged_text(merge((base, asan))) == "CONFIG_ASAN=y\nCONFIG_SHADOW=y\nCONFIG_STACK=y\n"


def test_dropped_leaves_out_a_symbol_for_either_of_two_reasons() -> None:
    one = parse_fragment("one", "CONFIG_A=y\n# CONFIG_A may be dropped without CONFIG_X\n")
    two = parse_fragment("two", "CONFIG_A=y\n# CONFIG_A may be dropped without CONFIG_Y\n")
    merged = merge((one, two))
    assert not dropped(merged, {"X": "y"})
    assert not dropped(merged, {"Y": "y"})
    assert dropped(merged, {"X": "y", "Y": "y"})


def test_parse_fragment_with_a_make_variable() -> None:
    one = parse_fragment("one", "# make: KASAN_SANITIZE_early.o=n\n# make: B=\nCONFIG_A=y\n")
    two = parse_fragment("two", "# make: B=\n# make it fast: X=y\n# make sure\nCONFIG_A=y\n")
    assert make_variables((one, two)) == ("B=", "KASAN_SANITIZE_early.o=n")
    assert make_variables((parse_fragment("a", "CONFIG_A=y\n"),)) == ()


def test_parse_fragment_with_ram_it_takes() -> None:
    text = "# Slow.\n# Takes 64 MiB of a guest's RAM, and half of its speed.\nCONFIG_A=y\n"
    assert parse_fragment("a", text).takes_mib == 64
    assert parse_fragment("a", "# It takes a while.\nCONFIG_A=y\n").takes_mib == 0


def test_same_value_in_hex_and_decimal() -> None:
    assert same_value("0x10", "16")
    assert same_value("010", "10")
    assert not same_value("y", "m")
    assert not same_value('"1"', "1")


def test_topic_files_come_in_order_each_once(tmp_path: Path) -> None:
    for topic in ("base", "kunit", "fault-injection", "trace", "swap-zram", "toy", "xfs"):
        (tmp_path / f"{topic}.config").touch()
    files = topic_files(tmp_path, "toy", ("xfs", "kunit"))
    assert [file.stem for file in files] == [
        "base", "toy", "kunit", "fault-injection", "trace", "swap-zram", "xfs",
    ]  # fmt: skip
    with pytest.raises(UserError, match="unknown config topic 'xfz'") as caught:
        topic_files(tmp_path, "toy", ("xfz",))
    assert "'xfs'" in caught.value.hint


def test_read_fragments_takes_the_topic_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.config").write_text("CONFIG_A=y\n")
    (fragment,) = read_fragments((tmp_path / "a.config",))
    assert (fragment.topic, fragment.values) == ("a", {"A": "y"})
    with pytest.raises(UserError, match="no fragment"):
        read_fragments((tmp_path / "none.config",))


def test_laid_over_replaces_only_the_symbols_asked_for() -> None:
    config = "CONFIG_SLOB=y\n# CONFIG_SLUB is not set\nCONFIG_HZ=100\n# a comment\n"
    asked = (Asked("SLUB", "y", "base"), Asked("SLOB", "n", "base"), Asked("NEW", "y", "kunit"))
    assert laid_over(config, asked).splitlines() == [
        "CONFIG_HZ=100",
        "# a comment",
        "CONFIG_SLUB=y",
        "# CONFIG_SLOB is not set",
        "CONFIG_NEW=y",
    ]
