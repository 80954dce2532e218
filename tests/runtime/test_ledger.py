from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import LedgerError
from runtime.ledger import Ledger, Owner


def test_a_fresh_ledger_is_free_but_for_the_padding() -> None:
    ledger = Ledger(9, 4)
    assert ledger.total == 32
    assert ledger.table() == {"free": 32, "tree": 0, "request": 0, "session": 0, "in_transfer": 0, "total": 32}
    assert ledger.owner(0) is Owner.PADDING
    ledger.check()


def test_a_wrong_source_is_refused_with_page_owners_and_table() -> None:
    ledger = Ledger(4, 1)
    ledger.move([1], Owner.FREE, Owner.TREE)
    with pytest.raises(LedgerError, match=r"page 1: SESSION → FREE, but TREE owns it\n") as caught:
        ledger.move([1], Owner.SESSION, Owner.FREE)
    assert "free" in str(caught.value)
    ledger.check()


def test_pages_before_the_wrong_one_have_moved_and_are_booked() -> None:
    ledger = Ledger(5, 2)
    ledger.move([2], Owner.FREE, Owner.TREE)
    with pytest.raises(LedgerError):
        ledger.move([1, 2, 3], Owner.FREE, Owner.REQUEST)
    assert ledger.slots(Owner.REQUEST) == 2
    ledger.check({Owner.REQUEST: [1], Owner.TREE: [2], Owner.FREE: [3, 4]})


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({Owner.FREE: [1, 1, 2]}, "twice"),
        ({Owner.FREE: [1, 2, 3]}, "claims page 3, which REQUEST owns"),
        ({Owner.FREE: [1]}, "claims 1 pages, booked 2"),
        ({Owner.SESSION: []}, None),
        ({Owner.REQUEST: [3], Owner.FREE: [1, 2]}, None),
    ],
)
def test_claims_are_compared_page_by_page(claims: dict[Owner, list[int]], message: str | None) -> None:
    ledger = Ledger(4, 1)
    ledger.move([3], Owner.FREE, Owner.REQUEST)
    if message is None:
        ledger.check(claims)
        return
    with pytest.raises(LedgerError, match=message):
        ledger.check(claims)


@given(st.lists(st.tuples(st.integers(1, 7), st.sampled_from(list(Owner)), st.sampled_from(list(Owner)))))
def test_against_a_plain_dictionary(moves: list[tuple[int, Owner, Owner]]) -> None:
    ledger, plain = Ledger(8, 3), dict.fromkeys(range(1, 8), Owner.FREE)
    for page, source, target in moves:
        if plain[page] is source:
            ledger.move([page], source, target)
            plain[page] = target
        else:
            with pytest.raises(LedgerError):
                ledger.move([page], source, target)
    held = {owner: [p for p, o in plain.items() if o is owner] for owner in Owner if owner is not Owner.PADDING}
    ledger.check(held)
    assert all(ledger.slots(owner) == 3 * len(pages) for owner, pages in held.items())
