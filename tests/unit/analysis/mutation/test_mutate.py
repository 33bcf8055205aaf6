# SPDX-License-Identifier: GPL-2.0-only
"""Mutants: small slips in what a patch brought, and nowhere else."""

from __future__ import annotations

import pytest

from harness.analysis.mutation.mutate import changed_lines, code_only, mutants_of

BEFORE = """\
#include <linux/a.h>
static int f(int flags)
{
	int ret = 0;
	if (flags & __GFP_ZERO)
		ret = g();
	return 0;
}
"""
AFTER = """\
#include <linux/a.h>
static int f(int flags)
{
	int ret = 0;
	unsigned int scope = 3;

	/* if (this) is; a comment with __GFP_IO */
	if (!(flags & __GFP_IO) && flags)
		scope = memalloc_noio_save();
	for (;;) {
		ret = g("a; string < 1");
		if (ret >= 0)
			break;
		area->next(1);
	}
	memalloc_noio_restore(scope);
again:
	if (flags & __GFP_ZERO)
		ret = g();
	return ret;
}
"""


def made() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mutant in mutants_of("mm/a.c", BEFORE, AFTER):
        found.setdefault(mutant.operator, []).append(mutant.what)
    return found


def test_only_changed_lines_are_touched() -> None:
    lines = changed_lines(BEFORE, AFTER)
    assert {5, 8, 9, 10, 16, 20} <= lines
    assert not lines & {1, 2, 3, 4, 18, 19, 21}
    for mutant in mutants_of("mm/a.c", BEFORE, AFTER):
        assert mutant.line in lines


def test_each_kind_of_slip_is_made() -> None:
    found = made()
    assert found["drop a statement"] == [
        "drop `scope = memalloc_noio_save();`",
        "drop `ret = g( );`",
        "drop `break;`",
        "drop `area->next(1);`",
        "drop `memalloc_noio_restore(scope);`",
        "drop `return ret;`",
    ]
    assert found["negate a condition"] == [
        "negate `if (!(flags & __GFP_IO) && flags)`",
        "negate `if (ret >= 0)`",
    ]
    assert found["change a condition"] == ["`&&` becomes `||`"]
    assert found["drop a flag"] == ["`__GFP_IO` is left out"]
    assert "`__GFP_IO` becomes `__GFP_FS`" in found["mistake a name"]
    assert "`memalloc_noio_restore` becomes `memalloc_nofs_restore`" in found["mistake a name"]
    assert found["remove a loop"] == ["`for (;;)` is gone through once"]
    assert found["lose a result"] == ["`return ret;` returns 0"]
    assert "`>=` becomes `>`" in found["change a bound"]
    # Neither the first value of a variable nor the arrow of a pointer is a bound.
    assert not any("3" in what or "->`" in what for what in found["change a bound"])


def test_no_mutant_changes_the_number_of_lines() -> None:
    for mutant in mutants_of("mm/a.c", BEFORE, AFTER):
        assert mutant.text.count("\n") == AFTER.count("\n"), mutant.what


def test_mutant_of_loop_keeps_its_break() -> None:
    (loop,) = (m for m in mutants_of("a.c", BEFORE, AFTER) if m.operator == "remove a loop")
    assert "\tswitch (0) default: {\n" in loop.text
    after = "void f(void)\n{\n\twhile (x < 3) {\n\t\tg();\n\t}\n}\n"
    (loop,) = (m for m in mutants_of("a.c", "", after) if m.operator == "remove a loop")
    assert "\tif (x < 3) switch (0) default: {\n" in loop.text


def test_comments_are_no_code() -> None:
    commented = BEFORE.replace("\tint ret", "\t/* why; __GFP_IO < 1 */\n\tint ret")
    assert mutants_of("mm/a.c", BEFORE, commented) == ()


def test_an_include_can_be_taken_back() -> None:
    after = BEFORE.replace("#include <linux/a.h>", "#include <linux/a.h>\n#include <linux/b.h>")
    assert [m.operator for m in mutants_of("a.c", BEFORE, after)] == ["take a hunk back"]


def test_a_hunk_taken_back_is_as_before() -> None:
    (back,) = (m for m in mutants_of("a.c", BEFORE, AFTER) if m.operator == "take a hunk back")
    assert [line for line in back.text.split("\n") if line] == BEFORE.strip().split("\n")


def test_a_mutant_shows_as_a_patch() -> None:
    mutant = mutants_of("mm/a.c", BEFORE, AFTER)[0]
    diff = mutant.diff(AFTER)
    assert diff.startswith("--- a/mm/a.c\n+++ b/mm/a.c\n@@ ")
    assert sum(line.startswith("+") for line in diff.splitlines()) >= 2


def test_mutants_differ_from_each_other() -> None:
    texts = [mutant.text for mutant in mutants_of("mm/a.c", BEFORE, AFTER)]
    assert len(texts) == len(set(texts)) == 20
    assert AFTER not in texts


@pytest.mark.parametrize(
    "text",
    ['a /* x; */ b\n// y;\n"z;" \'"\' c\n#define X(a) \\\n\tb;\nd\n', "/* no end", '"no end\n'],
)
def test_blanked_comments_keep_columns(text: str) -> None:
    code = code_only(text)
    assert len(code) == len(text)
    assert [n for n, c in enumerate(code) if c == "\n"] == [
        n for n, c in enumerate(text) if c == "\n"
    ]
