"""An answer in OpenAI's terms; what those lack (citations, confidence) stands beside the message's text."""

from typing import Any

from deployments.shim.answers import Answer
from deployments.shim.errors import body


def text_of(answer: Answer) -> str:
    return answer.answer or (answer.error.message if answer.error else "")


def extras(answer: Answer) -> dict[str, Any]:
    """Return what the answer rests on and which model spoke, as an extension beside OpenAI's own fields."""
    citations = [citation.model_dump(mode="json") for citation in answer.citations]
    spoken = {"answer": text_of(answer), "spoken_by": answer.model, "fallback": answer.fallback}
    return {"citations": citations, "confidence": answer.confidence, "abstained": answer.abstained} | spoken


def usage_of(answer: Answer) -> dict[str, int] | None:
    """Return the tokens that were used; None is unknown."""
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    if prompt is None or completion is None:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def error_of(answer: Answer) -> dict[str, Any] | None:
    """Return the error that a stream ends with; a refusal is an answer."""
    if answer.error is None or answer.status == "refused":
        return None
    return body(answer.error.code, answer.error.message, 500)
