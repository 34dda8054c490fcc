"""What becomes of work whose asker may not ask any more: their key was revoked, or they were shut out."""

from typing import Any

from kowai.errors import BudgetExhausted

SENTENCE = "Whoever asked this may not ask any more, so it was given up."


class AccessEnded(BudgetExhausted):
    """Say that nothing more may be spent on what they asked."""

    code, http_status = "access_ended", 403


def was_opened(done: Any) -> bool:
    """Tell by `opened` whether a call was, and by `stands` whether who asked still may. Raises AccessEnded."""
    if not done.stands:
        raise AccessEnded(SENTENCE)
    return done.opened > 0
