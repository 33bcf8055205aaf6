# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.cache.inventory import UNTOUCHED_S, Item, KindOf, Stock
from harness.cache.prune import choose, parse_age, parse_size, size_text
from harness.model.errors import UserError

SECTION = Path("/cache/store")
NOW = 10_000_000.0


def item(
    name: str, age: float, own: int = 100, *, needs: tuple[str, ...] = (), **more: object
) -> Item:
    return Item(
        kind=name.partition("/")[0],
        path=SECTION / name,
        section=SECTION,
        last_used=NOW - age,
        own=own,
        needs=frozenset(SECTION / other for other in needs),
        **more,  # type: ignore[arg-type]
    )


def names(stock: Stock, *in_use: str, **limits: float) -> list[str]:
    used = frozenset(SECTION / name for name in in_use)
    chosen = choose(stock, used, now=NOW, **limits)  # type: ignore[arg-type]
    return [chosen_item.name for chosen_item in chosen.items]


def stock(*items: Item, other: int = 0) -> Stock:
    return Stock(items, other)


def test_least_recently_used_goes_first_and_no_more_than_must() -> None:
    three = stock(item("k/new", 10), item("k/old", 1000), item("k/middle", 100))
    assert names(three, size=300) == []
    assert names(three, size=299) == ["k/old"]
    assert names(three, size=100) == ["k/old", "k/middle"]
    assert names(three, size=0) == ["k/old", "k/middle", "k/new"]
    choice = choose(three, frozenset(), size=250, now=NOW)
    assert (choice.before, choice.after) == (300, 200)


def test_size_of_locks_and_indexes_counts_but_cannot_go() -> None:
    choice = choose(stock(item("k/a", 1), other=500), frozenset(), size=400, now=NOW)
    assert (choice.before, choice.after, len(choice.items)) == (600, 500, 1)


def test_age_limit_alone_and_with_a_size() -> None:
    three = stock(item("k/new", 10), item("k/old", 1000), item("k/middle", 100))
    assert names(three, unused_since=NOW - 500) == ["k/old"]
    assert names(three, unused_since=NOW - 50) == ["k/old", "k/middle"]
    assert names(three, unused_since=NOW - 500, size=100) == ["k/old", "k/middle"]
    assert names(three, unused_since=NOW - 5000, size=300) == []


def test_entry_in_use_stays_with_all_that_it_needs() -> None:
    chain = stock(
        item("k/a", 900, needs=("h/a",)),
        item("h/a", 1000, needs=("s/a",)),
        item("s/a", 2000),
        item("k/b", 10),
    )
    assert names(chain, "k/a", size=0) == ["k/b"]
    assert names(chain, "h/a", size=0) == ["k/a", "k/b"]


def test_entry_needed_by_a_younger_one_goes_after_it() -> None:
    two = stock(item("h/a", 1000), item("k/a", 10, needs=("h/a",)), item("k/b", 100))
    assert names(two, size=0) == ["k/b", "k/a", "h/a"]
    assert names(two, size=250) == ["k/b"]
    assert names(two, size=100) == ["k/b", "k/a"]
    assert names(two, unused_since=NOW - 500) == []


def test_entries_in_a_ring_of_needs_end_the_search() -> None:
    ring = stock(item("k/a", 10, needs=("k/b",)), item("k/b", 20, needs=("k/a",)))
    assert sorted(names(ring, size=0)) == ["k/a", "k/b"]


def test_linked_file_frees_its_bytes_with_its_last_name() -> None:
    tree = item("s/tree", 1000, 10, shared={(1, 1): 500, (1, 2): 70})
    work = item("w/tree", 100, 10, shared={(1, 1): 500})
    both = stock(tree, work)
    assert both.size == 590
    choice = choose(both, frozenset(), size=550, now=NOW)
    assert [chosen.name for chosen in choice.items] == ["s/tree"]
    assert choice.after == 510
    assert choose(both, frozenset(), size=500, now=NOW).after == 0


def test_linked_file_counts_where_it_comes_first() -> None:
    tree = item("s/tree", 1000, 10, shared={(1, 1): 500, (1, 2): 70})
    work = item("w/tree", 100, 10, shared={(1, 1): 500})
    assert stock(tree, work).by_kind() == (
        KindOf("s", 1, 580, NOW - 1000),
        KindOf("w", 1, 10, NOW - 100),
    )


def test_unleased_entry_goes_after_a_day() -> None:
    young = item("n/young", UNTOUCHED_S - 10, unleased=True)
    old = item("n/old", UNTOUCHED_S + 10, unleased=True)
    assert names(stock(young, old), size=0) == ["n/old"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("20G", 20 * 2**30), ("1.5 k".replace(" ", ""), 1536), ("512MiB", 2**29),
     ("2tb", 2**41), ("77", 77)],
)  # fmt: skip
def test_parse_size_in_every_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "20 Q", "1e3"])
def test_parse_size_of_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("12h", 43200), ("14d", 1209600), ("1w", 604800)]
)
def test_parse_age_in_every_unit(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "14", "d", "-1d", "1y"])
def test_parse_age_of_no_age_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no age"):
        parse_age(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.0 KiB"), (1536, "1.5 KiB"), (2**20 - 1, "1.0 MiB"), (20 * 2**30, "20.0 GiB"),
     (3000 * 2**40, "3000.0 TiB")],
)  # fmt: skip
def test_size_text_in_kib_to_tib(size: int, text: str) -> None:
    assert size_text(size) == text
