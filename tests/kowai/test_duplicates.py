"""Texts that say almost the same are found, others are not."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from kowai.duplicates import BANDS, LIKE, likeness, signatures, sketched, words

WORDS = [f"word{number}" for number in range(500)]


def runs(text: str) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[place : place + 5]) for place in range(max(1, len(said) - 4))}


def jaccard(first: str, second: str) -> float:
    return len(runs(first) & runs(second)) / len(runs(first) | runs(second))


def alike(first: str, second: str) -> bool:
    one, other = sketched(first), sketched(second)
    found = bool({*one.bands} & {*other.bands})
    return found and likeness(signatures([one.signature]), other.signature)[0] >= LIKE


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), length=st.integers(60, 600), changes=st.integers(0, 40))
def test_what_is_clearly_alike_is_found_and_what_is_clearly_not_is_left(seed: int, length: int, changes: int) -> None:
    rng = random.Random(seed)
    text = rng.choices(WORDS, k=length)
    edited = list(text)
    for _ in range(changes):
        edited[rng.randrange(length)] = rng.choice(WORDS)
    true = jaccard(" ".join(text), " ".join(edited))
    if not 0.78 < true < 0.98:  # four standard errors around 0.9, and the bands
        assert alike(" ".join(text), " ".join(edited)) == (true >= LIKE)


@given(st.text(max_size=300))
def test_every_text_has_a_sketch_and_is_its_own_duplicate(text: str) -> None:
    sketch = sketched(text)
    assert len(set(sketch.bands)) == BANDS
    assert likeness(signatures([sketch.signature]), sketch.signature) == [1.0]


def test_case_and_punctuation_do_not_matter_and_unspaced_scripts_are_read() -> None:
    assert sketched("Green tea, steeped.").text_hash == sketched("green TEA steeped").text_hash
    chinese = "绿茶在八十度的水中浸泡三分钟红茶需要五分钟"
    assert alike(chinese, f"{chinese}。")
    assert not alike(chinese, "咖啡在九十度的水中压四分钟牛奶需要一分钟加热")
