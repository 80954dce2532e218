import random
import re
from collections.abc import Callable

import pytest

from grammars.cfg.tags import free_text, up_to
from grammars.regular.language import Languages
from grammars.spec import JsonObject, Regex, Spec, StructuralTag, Tag

Accepts = Callable[[Spec], Callable[[str], bool]]


@pytest.mark.parametrize("texts", [("ab",), ("aa", "b"), ("aba", "bab"), ("ab", "abb", "b")])
def test_free_text_and_stops(texts: tuple[str, ...], languages: Languages):
    rng = random.Random(3)
    free, stopped = free_text(languages, texts), up_to(languages, texts, texts)
    for _ in range(300):
        text = "".join(rng.choices("abc\n", k=rng.randrange(9)))
        assert languages.accepts(free, text) is not any(stop in text for stop in texts)
        ends = any(text.endswith(stop) for stop in texts) and not any(stop in text[:-1] for stop in texts)
        assert languages.accepts(stopped, text) is ends


def test_text_before_a_stop_may_be_held_to_a_language(languages: Languages):
    before = languages.repeat(languages.ranges([(ord("a"), ord("c"))]), 2, None)
    stopped = up_to(languages, ("ca",), ("ca",), before)
    assert [text for text in ("abca", "aca", "abcaca", "bxca", "ccca") if languages.accepts(stopped, text)] == [
        "abca",
        "ccca",
    ]


TAGS = (Tag("<f=a>", Regex("x+"), ("</f>", "</g>")), Tag("<f=b>", None, ("</f>",)), Tag("[", Regex("y?"), ("]", "")))


def oracle(at_least_one: bool, stop_after_first: bool) -> re.Pattern[str]:
    tag = r"(?:<f=a>x+(?:</f>|</g>)|<f=b>(?:(?!</f>)(?s:.))*</f>|\[y?\]?)"
    free = r"(?:(?!<f|\[|NO)(?s:.))*"
    if stop_after_first:
        return re.compile(tag if at_least_one else f"{free}(?:{tag})?")
    return re.compile(f"{tag if at_least_one else ''}(?:{free}{tag})*{free}")


@pytest.mark.parametrize("at_least_one", [False, True])
@pytest.mark.parametrize("stop_after_first", [False, True])
def test_texts_with_tags(at_least_one: bool, stop_after_first: bool, accepts: Accepts):
    rng = random.Random(5)
    accepted = accepts(StructuralTag(TAGS, ("<f", "["), at_least_one, stop_after_first, ("NO",)))
    pattern = oracle(at_least_one, stop_after_first)
    pieces = ["<f=a>", "<f=b>", "x", "x", "</f>", "</g>", "[", "y", "]", "<", "f", "=", "hi", "\n", "NO", "N", "O"]
    num_accepted = 0
    for _ in range(1500):
        text = "".join(rng.choices(pieces, k=rng.randrange(8)))
        wanted = pattern.fullmatch(text) is not None
        assert accepted(text) is wanted, text
        num_accepted += wanted
    assert num_accepted > 15


def test_a_trigger_that_begins_several_tags_and_overlaps_itself(accepts: Accepts):
    accepted = accepts(StructuralTag((Tag("aab", JsonObject(), (".",)), Tag("aac", Regex("d"), (".",))), ("aa",)))
    assert accepted("xaab{}. a aacd.")
    assert accepted("a")
    assert not accepted("aaab{}.")
    assert not accepted("xaab{}.aa")
