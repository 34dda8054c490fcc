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
    """Hold what `items` answers take; the worst case is what the ledger could reserve, the rest is expected."""

    items: int
    prompt_tokens: int
    output_tokens: int
    dollars: Dollars | None
    worst_tokens: int
    worst_dollars: Dollars | None
    minutes: float
    basis: Literal["experience", "assumption"]
    model: str
    left_today: Dollars

    @property
    def sentence(self) -> str:
        cost = "an unknown price" if self.dollars is None else f"about ${self.dollars:,.4f}"
        worst = "unknown" if self.worst_dollars is None else f"${self.worst_dollars:,.4f}"
        return (
            f"{self.items:,} answers by {self.model}: about {self.prompt_tokens + self.output_tokens:,} tokens, {cost} "
            f"(at worst {worst}; ${self.left_today:,.2f} are left today) and {self.minutes:,.1f} minutes, by "
            f"{self.basis}."
        )

    def needs_approval(self, approve_above: Decimal | None) -> bool:
        """Tell whether somebody has to agree; an unknown price is never below a threshold."""
        if approve_above is None:
            return False
        return self.worst_dollars is None or self.worst_dollars > approve_above
