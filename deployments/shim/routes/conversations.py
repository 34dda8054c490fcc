"""Conversations of the caller, and how the caller likes to be answered."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.answers import Answer, read_answers
from deployments.shim.identity import Principal, may
from kowai.types import Length, Preferences, Tone
from tasks.conversations import begin_conversation, delete_conversation, list_conversations, read_conversation
from tasks.preferences import read_preferences, save_preferences
from tasks.remove import remove_originals

router = APIRouter(prefix="/api/v1", tags=["conversations"])

Asker = Annotated[Principal, Depends(may("questions.ask"))]
Reader = Annotated[Principal, Depends(may("questions.read"))]

LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
Limit = Annotated[int, Query(ge=1, le=500, description="How many, the newest first.")]


class Beginning(BaseModel):
    """Begin a conversation; without a title it is called by its first question."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(None, min_length=1, max_length=200)


class Conversation(BaseModel):
    """Name one conversation and how many turns it has; ask in it by sending its id as `conversation_id`."""

    id: UUID
    title: str | None
    turns: int
    created_at: datetime


class ConversationWithTurns(Conversation):
    """Hold a conversation's turns in order, and the summary of those that are no longer told word for word."""

    summary: str
    answers: list[Answer]


class Wishes(BaseModel):
    """Say how you like to be answered; what is left out is no wish, and an earlier one is forgotten."""

    model_config = ConfigDict(extra="forbid")

    tone: Tone | None = Field(None, description="How a model should sound.")
    language: str | None = Field(None, max_length=35, pattern=LANGUAGE, description="A BCP 47 tag: en, de-AT ...")
    length: Length | None = Field(None, description="How much a model writes, or how many sentences are quoted.")


@router.post("/conversations", status_code=201)
async def begin(caller: Asker, beginning: Beginning | None = None) -> ConversationWithTurns:
    """Begin a conversation, which only this key can see and go on with."""
    title = beginning.title if beginning else None
    return await get_conversation(await begin_conversation(caller.tenant_id, caller.id, title), caller)


@router.get("/conversations")
async def get_conversations(caller: Reader, limit: Limit = 50) -> list[Conversation]:
    """List this key's conversations."""
    found = await list_conversations(caller.tenant_id, caller.id, limit)
    return [Conversation.model_validate(row) for row in found]


@router.get("/conversations/{conversation_id}")
async def get_conversation(conversation_id: UUID, caller: Reader) -> ConversationWithTurns:
    """Return a conversation with its turns in order."""
    found = await read_conversation(conversation_id, caller.tenant_id, caller.id)
    answers = await read_answers(found.pop("queries"), caller.tenant_id)
    return ConversationWithTurns.model_validate(found | {"answers": answers})


@router.delete("/conversations/{conversation_id}", status_code=204)
async def remove(conversation_id: UUID, caller: Asker) -> None:
    """Delete a conversation with its questions, answers and feedback."""
    await delete_conversation(conversation_id, caller.tenant_id, caller.id)
    await remove_originals(caller.tenant_id)


@router.get("/preferences")
async def get_preferences(caller: Reader) -> Preferences:
    """Return how this key's questions are answered."""
    return await read_preferences(caller.tenant_id, caller.id)


@router.put("/preferences")
async def put_preferences(wishes: Wishes, caller: Asker) -> Preferences:
    """Replace how this key's questions are answered, from the next question on."""
    preferences = Preferences.model_validate(wishes.model_dump())
    await save_preferences(preferences, caller.tenant_id, caller.id)
    return preferences
