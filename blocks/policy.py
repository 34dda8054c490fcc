"""What guards do, as an operator switches them; a tenant may have switches of its own."""

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from kowai.guards import Action, Limits, Stage, guards
from kowai.policies import GuardPolicy, Switch


class GuardSwitch(BaseModel):
    """Set what one guard does at one stage."""

    model_config = ConfigDict(frozen=True)

    guard: str = Field(title="Guard", description="Its name.", json_schema_extra={"enum": [*guards()]})
    stage: Stage = Field(title="Stage", description="input: questions; document: what is ingested; output: answers.")
    action: Action = Field(
        title="Action", description="off, note (an event), mask, quarantine (documents only) or refuse."
    )


class Policy(Block):
    """Switch guards for every tenant that has no switches of its own."""

    _block_type_name = "KowAI Policy"
    _block_type_slug = "kowai-policy"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
    _description = "What guards do when they see something in a question, a document or an answer."

    switches: list[GuardSwitch] = Field(
        default_factory=list[GuardSwitch],
        title="Switches",
        description="Where a guard is to act otherwise than by default; the last one counts.",
    )
    longest_question: int = Field(default=8_000, gt=0, title="Longest question", description="In characters.")
    longest_answer: int = Field(default=40_000, gt=0, title="Longest answer", description="In characters.")
    languages: list[str] = Field(
        default_factory=list[str], title="Languages", description="ISO 639 codes that are allowed; empty: all."
    )
    least_supported: float = Field(
        default=0.5, ge=0, le=1, title="Least support", description="Share of an answer's sentences that are cited."
    )

    def rules(self) -> GuardPolicy:
        """Return the policy that guards are held to."""
        limits = Limits(
            longest_question=self.longest_question,
            longest_answer=self.longest_answer,
            languages=tuple(self.languages),
            least_supported=self.least_supported,
        )
        return GuardPolicy(switches=tuple(Switch(**each.model_dump()) for each in self.switches), limits=limits)
