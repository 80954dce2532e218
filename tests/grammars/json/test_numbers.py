from __future__ import annotations

import random
import re
from decimal import Decimal
from fractions import Fraction

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars.errors import GrammarLimit
from grammars.json.node import MultipleOf, NumberIn, WrittenWhole
from grammars.json.number_set import NumberPiece, pieces_of, power_of_ten
from grammars.json.numbers import Formula, number_language
from grammars.regular.language import Language, Languages

INTEGER = MultipleOf(Decimal(1))
WHOLE, PARTED = WrittenWhole(), WrittenWhole(True)
PLAIN = re.compile(r"-?(0|[1-9]\d{0,18})(\.\d{1,17})?")
SCIENTIFIC = re.compile(r"-?[1-9](\.\d{1,17})?[eE][+-]?\d{1,2}")
FULL = re.compile(r"-?(0|[1-9]\d{0,18})(\.\d{1,17})?([eE][+-]?\d{1,2})?")


def between(low: str | None, high: str | None, low_open: bool = False, high_open: bool = False) -> NumberIn:
    return NumberIn(None if low is None else Decimal(low), None if high is None else Decimal(high), low_open, high_open)


def multiple(step: str, negated: bool = False) -> MultipleOf:
    return MultipleOf(Decimal(step), negated)


def other_than(text: str) -> Formula:
    return ("any", between(None, text, False, True), between(text, None, True))


def holds(formula: Formula, value: Fraction, whole: bool = False) -> bool:
    if isinstance(formula, WrittenWhole):
        return whole != formula.negated
    if isinstance(formula, MultipleOf):
        return (value % Fraction(formula.step) == 0) != formula.negated
    if isinstance(formula, NumberIn):
        low, high = formula.low, formula.high
        above = low is None or (value > Fraction(low) if formula.low_open else value >= Fraction(low))
        return above and (high is None or (value < Fraction(high) if formula.high_open else value <= Fraction(high)))
    kind, *items = formula
    return (all if kind == "all" else any)(holds(item, value, whole) for item in items)  # type: ignore[arg-type]


def is_whole(text: str) -> bool:
    return not set(text) & set(".eE")


def constants(formula: Formula) -> list[Decimal]:
    if isinstance(formula, WrittenWhole):
        return []
    if isinstance(formula, MultipleOf):
        return [formula.step]
    if isinstance(formula, NumberIn):
        return [bound for bound in (formula.low, formula.high) if bound is not None]
    return [number for item in formula[1:] for number in constants(item)]  # type: ignore[arg-type]


def has_exponents(formula: Formula) -> bool:
    """Whether every number of the set has a spelling with an exponent, as the module's policy is."""
    return all(
        piece.point is None
        and all(power_of_ten(step) is not None for step in (*piece.excluded, *([piece.step] if piece.step else [])))
        for piece in pieces_of(formula)
    )


def random_text(rng: random.Random, near: list[Decimal]) -> str:
    """A number as anybody might write it, often one of `near` or next to it."""
    if near and rng.random() < 0.6:
        value = rng.choice(near) * rng.choice([1, 1, 1, -1, 0, 2, 3])
        value += rng.choice([0, 0, 1, -1]) * Decimal(rng.randint(1, 30)).scaleb(rng.randint(-4, 2))
    else:
        most = 10 ** rng.randint(0, 8)
        value = Decimal(rng.randint(-most, most)).scaleb(rng.randint(-6, 3))
    exponent = value.adjusted() if value and rng.random() < 0.4 else None
    text = format(value if exponent is None else value.scaleb(-exponent), "f")
    if "." in text and rng.random() < 0.6:
        text = text.rstrip("0").rstrip(".")
    if rng.random() < 0.3:
        text += "0" * rng.randint(1, 3) if "." in text else "." + "0" * rng.randint(1, 3)
    if exponent is None:
        return text
    sign = "-" if exponent < 0 else rng.choice(["", "+"])
    return f"{text}{rng.choice('eE')}{sign}{abs(exponent):0{rng.choice([1, 2])}}"


def random_walk(language: Language, rng: random.Random) -> str:
    text = ""
    while True:
        moves = language.moves()
        assert moves or language.nullable, f"{text!r} is a dead end"
        if not moves or (language.nullable and rng.random() < 0.2):
            return text
        low, high, language = rng.choice(moves)
        text += chr(rng.randint(low, high))


def check(formula: Formula, seed: int, count: int = 60) -> None:
    rng = random.Random(seed)
    languages = Languages()
    language = number_language(languages, formula)
    exponents = has_exponents(formula)
    reaches_below_zero = language.after(ord("-")) is not languages.nothing
    for _ in range(count):
        text = random_text(rng, constants(formula))
        if text.startswith("-") and not Decimal(text) and not reaches_below_zero:
            continue
        if PLAIN.fullmatch(text) or (exponents and SCIENTIFIC.fullmatch(text)):
            assert language.contains(text) == holds(formula, Fraction(Decimal(text)), is_whole(text)), text
    if language is not languages.nothing:
        for _ in range(20):
            text = random_walk(language, rng)
            # A single value is spelled out, even if it is longer.
            assert FULL.fullmatch(text) or (is_whole(text) and Decimal(text) in constants(formula)), text
            assert holds(formula, Fraction(Decimal(text)), is_whole(text)), text


FORMULAS: dict[str, Formula] = {
    "percent": between("0", "100"),
    "integer": INTEGER,
    "percent, integer": ("all", INTEGER, between("0", "100")),
    "not negative": between("0", None),
    "half": between("0.5", "1.5"),
    "open": between("0", "1", True, True),
    "degrees": between("-90", "90"),
    "negative": between("-5", "-2.5", True),
    "tiny": between("1e-10", "3e-10"),
    "huge": between("1.5e25", "2.7e27"),
    "one exponent": between("1.5e25", "1.7e25"),
    "beyond integers": between(None, "3.6893488147419103e+19"),
    "int32": ("all", INTEGER, between("-2147483648", "2147483647")),
    "cents": multiple("0.01"),
    "price": ("all", multiple("0.01"), between("0", "99999999999.99")),
    "halves": multiple("2.5"),
    "weeks": ("all", multiple("7"), between("10", "1000", True, True)),
    "thousands": ("all", multiple("1000"), between(None, "1e7")),
    "nano": multiple("1e-9"),
    "no integer": multiple("1", True),
    "odd": ("all", INTEGER, multiple("2", True), between("0", "64")),
    "no sevens": multiple("7", True),
    "cents, no integer": ("all", multiple("0.01"), multiple("1", True), between("-3.5", "12.25", True)),
    "two sets": ("any", ("all", INTEGER, between("5", None)), ("all", multiple("0.5"), between(None, "3.7"))),
    "constants": ("any", *(between(text, text) for text in ("0", "-3", "2.50", "7"))),
    "all of nothing": ("all",),
    "old integer": WHOLE,
    "old integer, percent": ("all", WHOLE, between("0", "100")),
    "old integer, tens": ("all", multiple("10"), WHOLE, between("-250", None)),
    "no old integer": PARTED,
    "no old integer, none below zero": ("all", PARTED, between("0", "12")),
    "one old integer": ("any", ("all", WHOLE, between("0", "0")), ("all", PARTED, between("-3", "-3"))),
    "either spelling": ("any", ("all", WHOLE, between("5", None)), ("all", PARTED, between(None, "7"))),
    "none of a few": ("all", *(other_than(text) for text in ("0", "-3", "2.50", "7", "10", "1e-5"))),
    "integers, none of a few": ("all", INTEGER, *(other_than(str(number)) for number in range(-3, 12, 3))),
    "old integers, none of a few": ("all", WHOLE, between("0", None), *(other_than(str(n)) for n in range(5))),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_text_is_accepted_exactly_if_its_value_is_in_the_set(name: str) -> None:
    for seed in range(4):
        check(FORMULAS[name], seed)


numbers = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-200, 200),
    st.sampled_from([0, 0, 0, -1, -2, 1, 2, -5, 20, -20]),
)
atoms = st.one_of(
    st.builds(
        lambda ends, low, high, low_open, high_open: NumberIn(
            min(ends) if low else None, max(ends) if high else None, low_open, high_open
        ),
        st.tuples(numbers, numbers),
        *(st.booleans() for _ in range(4)),
    ),
    st.builds(
        MultipleOf,
        st.sampled_from([Decimal(step) for step in ("1", "0.01", "0.5", "7", "1000", "1e-9", "2.5", "10")]),
        st.booleans(),
    ),
)
atoms = st.one_of(atoms, st.sampled_from([WHOLE, PARTED]), st.builds(lambda number: other_than(str(number)), numbers))
formulas = st.recursive(
    atoms,
    lambda items: st.builds(
        lambda kind, parts: (kind, *parts), st.sampled_from(["all", "any"]), st.lists(items, min_size=1, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(formulas, st.integers(0, 2**32))
def test_random_formulas_against_exact_fractions(formula: Formula, seed: int) -> None:
    check(formula, seed, 30)


@pytest.mark.parametrize(
    ("formula", "accepted", "refused"),
    [
        (between("0.5", "1.5"), "1e0 5e-1 1.0 1.50 1.5e+00 0.5", "2 0.4999 1.5001 15e-1 -1 4.9E-1"),
        (INTEGER, "1.0 1e2 1.5e1 -0 0 -0.0 12 -7 1.25E+02", "1.5 1e-1 1.25e1 0.1 01 1. .5 +1"),
        (between("0", None), "0 0.000 1e99 1e-99", "-0 -0.0 -1 -0.1 -1e-9 1e100"),
        (("all", INTEGER, between("-0.5", None)), "0 0.0 7", "-0 -0.0 -1"),
        (("any", between("0", None), between("-3", "-2")), "-0 -0.00 0 -2.5", "-0.1 -1 -4"),
        (WHOLE, "0 -0 17 -1234567890123456789", "1.0 1e2 0.0 -5.0 1.5 01 12345678901234567890"),
        (PARTED, "1.0 1e2 0.0 -0.0 1.5", "0 -0 17 -1"),
        (("all", WHOLE, between("1", "12")), "1 5 12", "1.0 1e1 0 13 -1 1.5"),
        (("all", WHOLE, between("5", "5")), "5", "5.0 5e0 50"),
        (("all", PARTED, between("5", "5")), "5.0 5.00", "5 50.0"),
        (("all", WHOLE, between("1e30", "1e30")), "1" + "0" * 30, "1e30 1"),
        (("all", INTEGER, other_than("10"), other_than("0")), "1 11 1.1e1 -10", "10 10.0 1e1 1.0e+01 1E1 0 -0 0.0"),
        (("all", other_than("0.5")), "0.51 -0.5 5e1 50", "0.5 0.500 5e-1 5.0E-01"),
        (multiple("0.01"), "1.23 1.2 4.02 1 1.2300 1.23e1", "1.234 1e-3 1.239"),
        (multiple("1000"), "1000 5e3 0 -27000 1.234e6", "100 1500 5e2 1.2345e3"),
        (between("1e30", "1e30"), "1e30 1E+30", "1e31 1e29 1"),
        (between("123456789012345678901234", "123456789012345678901234"), "123456789012345678901234", "1e23 1"),
        (between("-1e308", "-1e308"), "-1e308 -1e+308 -1E+308", "1e308 -1e307 -1"),
        (between("1.25e-30", "1.25e-30"), "1.25e-30 1.25E-30", "1.25e-3 1.250e-30 0"),
        (between("5", "5"), "5 5.0 5.000", "5.1 4 55 -5"),
        (between("0", "0"), "0 0.0 0.00", "1 0.01 -0 -0.0"),
        (("all",), "10e2 0e5 -12.50E-01 1e+21 0.1", "01 1. .1 +1 1e 1e100 --1"),
    ],
)
def test_spellings(formula: Formula, accepted: str, refused: str) -> None:
    language = number_language(Languages(), formula)
    assert [text for text in accepted.split() if not language.contains(text)] == []
    assert [text for text in refused.split() if language.contains(text)] == []


@pytest.mark.parametrize(
    "formula",
    [
        ("any",),
        ("all", INTEGER, between("0.2", "0.8")),
        between("2", "1"),
        between("1", "1", True),
        ("all", INTEGER, multiple("1", True)),
        ("all", INTEGER, multiple("0.5", True)),
        ("all", multiple("7"), between("8", "13")),
        between("1e200", None),
        between("1e500", "1e500"),
        ("all", multiple("1e300"), between("1", None)),
        ("all", WHOLE, PARTED),
        ("all", WHOLE, between("0.5", "0.5")),
        ("all", WHOLE, multiple("1", True)),
        ("all", between("3", "3"), other_than("3")),
    ],
)
def test_empty_sets_are_nothing(formula: Formula) -> None:
    languages = Languages()
    assert number_language(languages, formula) is languages.nothing


def test_no_text_is_accepted_that_a_float_rounds_onto_an_open_bound() -> None:
    for bound in ("1", "0.1", "1e-5", "123456.789", "-2.5"):
        for opened in (between(None, bound, False, True), between(bound, None, True, False)):
            language = number_language(Languages(), opened)
            for shift in range(-40, 41):
                text = format(Decimal(bound) + Decimal(shift).scaleb(-17), "f")
                if PLAIN.fullmatch(text) and language.contains(text):
                    value = float(text)
                    assert value < float(bound) if opened.high is not None else value > float(bound)


def test_what_is_accepted_passes_a_validator_that_uses_floats() -> None:
    rng = random.Random(3)
    cases: list[tuple[dict[str, object], Formula]] = [
        ({"minimum": 0.1, "exclusiveMaximum": 0.7}, between("0.1", "0.7", False, True)),
        ({"multipleOf": 0.5, "minimum": -3}, ("all", multiple("0.5"), between("-3", None))),
        ({"type": "integer", "maximum": 1e6}, ("all", INTEGER, between(None, "1e6"))),
        ({"multipleOf": 7, "minimum": 0, "maximum": 1e9}, ("all", multiple("7"), between("0", "1e9"))),
    ]
    for schema, formula in cases:
        language = number_language(Languages(), formula)
        validator = jsonschema.Draft202012Validator(schema)
        for _ in range(150):
            text = random_walk(language, rng)
            assert validator.is_valid(int(text) if is_whole(text) else float(text)), text


def test_states_are_few() -> None:
    cases: list[tuple[Formula, str, int]] = [
        (between("0", "100"), "57.125", 9),
        (("all", INTEGER, between("0", "100")), "57", 4),
        (INTEGER, "-123456", 9),
        (between("-180", "180"), "-122.4194155", 16),
    ]
    for formula, path, most in cases:
        language = number_language(Languages(), formula)
        seen = {language}
        for char in path:
            language = language.after(ord(char))
            seen.add(language)
        assert language.nullable
        assert len(seen) <= most
    digits = number_language(Languages(), between("0", None))
    assert digits.after(ord("3")) is digits.after(ord("8"))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_sign_can_go_on_to_a_number_below_zero(name: str) -> None:
    languages = Languages()
    below = number_language(languages, FORMULAS[name]).after(ord("-"))
    zeros = languages.concat(languages.literal("."), languages.repeat(languages.literal("0"), 1, None))
    zero = languages.concat(languages.literal("0"), languages.repeat(zeros, 0, 1))
    rest = languages.intersect(below, languages.complement(zero))
    assert below is languages.nothing or not languages.is_empty(rest)


def test_many_numbers_left_out_are_one_piece() -> None:
    formula = ("all", WHOLE, between("0", None), *(other_than(str(number)) for number in range(0, 1500, 3)))
    assert len(pieces_of(formula)) == 1
    language = number_language(Languages(), formula)
    assert [number for number in range(1600) if language.contains(str(number))] == [
        number for number in range(1600) if number % 3 or number >= 1500
    ]


def test_a_set_of_many_numbers_stays_small() -> None:
    languages = Languages()
    formula = ("any", *(between(str(number), str(number)) for number in range(0, 30_000, 3)))
    language = number_language(languages, formula)
    assert language.contains("29997.0")
    assert not language.contains("29998")


@pytest.mark.parametrize(
    "formula",
    [
        ("all", *(("any", between(None, str(n)), between(f"{n}.5", None)) for n in range(600))),
        multiple("1e-500"),
        between("1." + "3" * 2000, None),
    ],
)
def test_absurd_formulas_are_refused(formula: Formula) -> None:
    with pytest.raises(GrammarLimit, match=r"number|multipleOf"):
        number_language(Languages(), formula)


def test_absurd_sizes_cost_nothing() -> None:
    language = number_language(Languages(), ("all", INTEGER, between("-1e1000000000", "1e1000000000")))
    assert language.contains("17")
    assert number_language(Languages(), between("1e-1000000000", None)).contains("1e-99")


def test_pieces_drop_what_others_cover() -> None:
    assert pieces_of(("any", INTEGER, ("all",))) == (NumberPiece(),)
    assert pieces_of(("any", between("0", "5"), between("1", "2"), multiple("1", True))) == (
        *pieces_of(between("0", "5")),
        *pieces_of(multiple("1", True)),
    )
    assert pieces_of(("any", ("all", between("0", "5"), WHOLE), ("all", between("0", "5"), other_than("2")))) == (
        *pieces_of(("all", between("0", "5"), WHOLE)),
        *pieces_of(("all", between("0", "5"), other_than("2"))),
    )
    assert pieces_of(("any", WHOLE, ("all", INTEGER, other_than("2")), INTEGER)) == pieces_of(INTEGER)
