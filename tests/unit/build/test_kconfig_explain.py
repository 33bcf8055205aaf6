# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.kconfig import Asked, Dropped
from harness.build.kconfig_explain import UNKNOWN, explain

KCONFIG = """
config MODULES
	bool "Modules"
	modules

config LATER
	bool "Of a newer kernel"
	transitional

config SWITCH
	bool "Switch"

config OTHER
	bool "Other"

config FEATURE
	bool "Feature"
	depends on SWITCH && OTHER && ARCH_IS_TOY

config ARCH_IS_TOY
	def_bool "$(ARCH)" = "toy"

config TRI
	tristate "Either"
	depends on m

config HIDDEN
	bool

config EXPERT_ONLY
	bool "Shown to experts" if SWITCH
	default y

config SELECTOR
	bool "Selector"
	select SELECTED

config SELECTED
	bool "Selected"

config CONDITIONAL
	bool "Needs OTHER where SWITCH is on"
	depends on OTHER if SWITCH

config NUMBER
	int "Number"
	range 1 64

choice
	prompt "One of two"

config ONE
	bool "One"

config TWO
	bool "Two"

endchoice
"""


def why(folder: Path, config: str, *asked: tuple[str, str]) -> dict[str, str]:
    (folder / "Kconfig").write_text(KCONFIG)
    (folder / ".config").write_text(config)
    lost = [Dropped(Asked(symbol, value, "topic"), "?") for symbol, value in asked]
    env = {"srctree": str(folder), "ARCH": "toy", "SRCARCH": "toy"}
    return explain(lost, folder / ".config", env, folder)


def test_reason_of_each_kind_of_loss(tmp_path: Path) -> None:
    answers = why(
        tmp_path,
        "CONFIG_OTHER=y\nCONFIG_SELECTOR=y\nCONFIG_ONE=y\nCONFIG_NUMBER=5\n",
        ("FEATURE", "y"), ("NONE", "y"), ("HIDDEN", "y"), ("SELECTED", "n"), ("TWO", "y"),
        ("NUMBER", "70"), ("SWITCH", '"text"'), ("EXPERT_ONLY", "n"), ("TRI", "m"),
    )  # fmt: skip
    assert answers["FEATURE"] == "unmet: SWITCH [=n]"
    assert answers["NONE"] == UNKNOWN
    assert answers["HIDDEN"].startswith("it has no prompt")
    assert answers["SELECTED"] == "it is selected by SELECTOR [=y]"
    assert answers["TWO"] == "another of the same choice is set: ONE"
    assert answers["NUMBER"] == "its value must lie between 1 and 64"
    assert answers["SWITCH"] == 'it is a bool, so "text" is no value for it'
    assert answers["EXPERT_ONLY"] == "it has no prompt here, and its default is on"
    assert "m" in answers["TRI"]


def test_reason_names_both_of_two_unmet_dependencies(tmp_path: Path) -> None:
    answers = why(tmp_path, "", ("FEATURE", "y"))
    assert answers["FEATURE"] == "unmet: SWITCH [=n] && OTHER [=n]"


def test_explain_with_unreadable_kconfig_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text("config A\n\tstrange words\n")
    (tmp_path / ".config").touch()
    lost = [Dropped(Asked("A", "y", "topic"), "n")]
    answers = explain(lost, tmp_path / ".config", {"srctree": str(tmp_path)}, tmp_path)
    assert "is not known" in answers["A"]


def test_load_of_a_conditional_dependency(tmp_path: Path) -> None:
    met = why(tmp_path, "CONFIG_SWITCH=n\n", ("CONDITIONAL", "y"))
    assert met["CONDITIONAL"] == "its value is n, and nothing forbids y"
    unmet = why(tmp_path, "CONFIG_SWITCH=y\n", ("CONDITIONAL", "y"))
    assert unmet["CONDITIONAL"] == "unmet: OTHER [=n] || !SWITCH [=y]"


@pytest.mark.parametrize("name", ["MODULES", "LATER"])
def test_load_of_words_of_newer_kernels(tmp_path: Path, name: str) -> None:
    assert why(tmp_path, "", (name, "y"))[name] == "its value is n, and nothing forbids y"
