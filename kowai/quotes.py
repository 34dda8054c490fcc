"""What a batch will take, said before it starts: tokens, US dollars and minutes; what is not known is None."""

from decimal import Decimal
from typing import Literal

from kowai.pricing import Dollars
from kowai.types import Value

SECONDS_EXTRACTIVE = 0.5
SECONDS_TO_FIRST_TOKEN, TOKENS_A_SECOND = 1.0, 40.0
ASSUMED_OUTPUT_TOKENS = 250
EXPERIENCE = 5  # answers from which an average is worth more than an assumption


class Quote(Value):
    """Hold what `items` answers take; the worst case is what the ledger could reserve, the rest is expected.

    On the basis of limits nothing is expected, and the minutes are the most there can be.
    """

    items: int
    prompt_tokens: int | None
    output_tokens: int | None
    dollars: Dollars | None
    worst_tokens: int | None
    worst_dollars: Dollars | None
    minutes: float | None
    basis: Literal["experience", "assumption", "limits"]
    model: str
    left_today: Dollars
    approve_above: Dollars | None = None
    needs_approval: bool = False

    @property
    def sentence(self) -> str:
        worst = "an unknown price" if self.worst_dollars is None else f"${self.worst_dollars:,.4f}"
        left = f"${self.left_today:,.2f} are left today"
        minutes = "an unknown number of minutes" if self.minutes is None else f"{self.minutes:,.1f} minutes"
        above = self.approve_above if self.needs_approval else None
        told = "" if above is None else f" Above ${above.normalize():,f} somebody has to approve it."
        answers = "answer" if self.items == 1 else "answers"
        begun, by = f"{self.items:,} {answers} by {self.model}", f"by {self.basis}.{told}"
        if self.prompt_tokens is None or self.output_tokens is None:
            return f"{begun}: at worst {worst} ({left}) and {minutes}, {by}"
        cost = "an unknown price" if self.dollars is None else f"about ${self.dollars:,.4f}"
        return (
            f"{begun}: about {self.prompt_tokens + self.output_tokens:,} tokens, {cost} "
            f"(at worst {worst}; {left}) and {minutes}, {by}"
        )

    def above(self, threshold: Decimal | None) -> "Quote":
        """Return the same with whether somebody has to agree; an unknown price is never below a threshold.

        The least of this threshold and the tenant's own holds, in US dollars; where there is none, nobody has to.
        """
        least = min((each for each in (threshold, self.approve_above) if each is not None), default=None)
        dear = least is not None and (self.worst_dollars is None or self.worst_dollars > least)
        return self.model_copy(update={"approve_above": least, "needs_approval": dear})
