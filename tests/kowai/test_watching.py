"""A fall in live scores is certain only when chance does not explain it."""

from kowai.watching import fall, is_certain


def test_a_clear_fall_is_certain_and_too_few_scores_say_nothing() -> None:
    found = fall([1.0] * 40, [0.0] * 20 + [1.0] * 20)
    assert found is not None
    assert (found.before, found.after) == (1, 0.5)
    assert is_certain(found)
    assert fall([1.0] * 9, [0.0] * 100) is None
    assert not is_certain(None)


def test_equal_scores_and_chance_are_no_reason() -> None:
    assert not is_certain(fall([1.0, 0.0] * 20, [1.0, 0.0] * 20))
    assert not is_certain(fall([1.0] * 8 + [0.0] * 4, [1.0] * 7 + [0.0] * 5))
