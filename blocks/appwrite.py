"""Appwrite: how its server is reached, and what its teams, labels and buckets mean here."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from blocks.appwrite_calls import DATA, Access, Lane

if TYPE_CHECKING:
    from appwrite.client import Client

T = TypeVar("T")

Role = Literal["viewer", "analyst", "operator", "admin"]
ROLES: dict[str, Role] = {"viewer": "viewer", "analyst": "analyst", "operator": "operator", "admin": "admin"}
OWNER: dict[str, Role] = {"owner": "admin"}


class Appwrite(Block):
    """Say where a project of Appwrite 2 is, by which key it is used, and which of its teams is which tenant."""

    _block_type_name = "KowAI Appwrite"
    _block_type_slug = "kowai-appwrite"
    _documentation_url = HttpUrl("https://appwrite.io/docs")
    _description = "A project of Appwrite: its users, its buckets and its tables."

    endpoint: str = Field(
        pattern=r"^https?://[^\s]+$", title="Endpoint", description="Such as https://appwrite.example.org/v1."
    )
    project: str = Field(min_length=1, title="Project", description="The project's id.")
    api_key: SecretStr = Field(
        title="API key",
        description="A key with the scopes users.read, teams.*, buckets.*, files.*, databases.*, tables.* and rows.*.",
    )
    teams: dict[str, str] = Field(
        default_factory=dict[str, str],
        title="Teams",
        description="Which team is which tenant: the team's id and the tenant's name. Other teams mean nothing here, "
        "for every user may make one.",
    )
    labels: dict[str, Role] = Field(
        default_factory=lambda: dict(ROLES),
        title="Labels",
        description="The role that a user's label gives in each of the user's tenants; only servers set labels.",
    )
    team_roles: dict[str, Role] = Field(
        default_factory=lambda: ROLES | OWNER,
        title="Team roles",
        description="The role that a role in the team gives in its tenant; the highest one counts.",
    )
    member_role: Role | None = Field(
        default="viewer", title="Members", description="The role of members who have no other; none: they are refused."
    )
    bucket: str = Field(default="", title="Bucket", description="The bucket for originals and results, by its id.")
    sources: dict[str, str] = Field(
        default_factory=dict[str, str],
        title="Sources",
        description="Which buckets a tenant may ingest from: the bucket's id and the tenant's name.",
    )
    database: str = Field(
        default="",
        title="Database",
        description="The database that questions, answers and insights of these tenants are mirrored to, if any.",
    )

    async def call(self, work: Callable[["Client"], T], *, lane: Lane = DATA, token: str = "") -> T:
        """Do `work` with a client of the SDK in a thread: as the server, or as the user whose JWT `token` is.

        Raises AppwriteUnavailable and AppwriteRefused.
        """
        key = "" if token else self.api_key.get_secret_value()
        return await lane.call(work, Access(self.endpoint.rstrip("/"), self.project, key, token))

    def do(self, work: Callable[["Client"], T]) -> T:
        """Do what `call` does, in a thread that may wait."""
        access = Access(self.endpoint.rstrip("/"), self.project, self.api_key.get_secret_value())
        return DATA.do(work, access)

    def teams_of(self, tenant: str) -> list[str]:
        """Return the teams that are this tenant."""
        return [team for team, name in self.teams.items() if name == tenant]
