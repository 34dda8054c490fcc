"""One call to an OpenAI-compatible embeddings endpoint, and what its reply is worth."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray

from blocks.http_client import SHOWN, http_client
from kowai.errors import EmbedderBusy, EmbedderFailed, EmbedderRefused, Misconfigured

TRY_LATER = frozenset((408, 409, 425))
BUSY = frozenset((429, 503))
UNCLEAR = "The embedder's reply cannot be understood."

Vectors = NDArray[np.float32]


class Embedded(NamedTuple):
    """Hold one L2-normalised row a text, and how many tokens the endpoint says it read; None where it does not say."""

    vectors: Vectors
    tokens: int | None


class Endpoint(NamedTuple):
    """Hold where to ask for vectors of `dimensions` numbers; `ask_for_dimensions` sends their count along."""

    url: str
    model: str
    api_key: str
    dimensions: int
    ask_for_dimensions: bool
    timeout_seconds: float

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of texts, from one attempt.

        Raises EmbedderFailed when trying again may help, EmbedderRefused when not, Misconfigured for no address.
        """
        try:
            response = await http_client().post(
                self.url, json=self._body(texts), headers=self._headers(), timeout=self.timeout_seconds
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Misconfigured(f"The embedder's endpoint is no address: {self.url}.") from error
        except httpx.TimeoutException as error:
            raise EmbedderFailed(f"The embedder did not answer within {self.timeout_seconds:g} s.") from error
        except httpx.HTTPError as error:
            raise EmbedderFailed("The embedder cannot be reached.", operator=repr(error)) from error
        if not response.is_success:
            raise _failure(response)
        said = _said(response)
        return Embedded(_checked(_rows(said), (len(texts), self.dimensions)), _tokens(said))

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def _body(self, texts: Sequence[str]) -> dict[str, Any]:
        inputs = [text or " " for text in texts]  # endpoints refuse a whole batch for one empty text
        length = {"dimensions": self.dimensions} if self.ask_for_dimensions else {}
        return {"model": self.model, "input": inputs, "encoding_format": "float", **length}


def _said(response: httpx.Response) -> dict[str, Any]:
    try:
        return dict(response.json())
    except (ValueError, TypeError) as error:
        raise EmbedderRefused(UNCLEAR, operator=response.text[:SHOWN]) from error


def _rows(said: dict[str, Any]) -> Vectors:
    try:
        data: list[dict[str, Any]] = sorted(said["data"], key=lambda item: item["index"])
        return np.array([item["embedding"] for item in data], np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise EmbedderRefused(UNCLEAR, operator=str(said)[:SHOWN]) from error


def _tokens(said: dict[str, Any]) -> int | None:
    used: dict[str, Any] = said["usage"] if isinstance(said.get("usage"), dict) else {}
    counts = (used.get("prompt_tokens"), used.get("total_tokens"))
    return next((count for count in counts if type(count) is int and count >= 0), None)


def _checked(rows: Vectors, expected: tuple[int, int]) -> Vectors:
    if rows.shape != expected:
        raise EmbedderRefused(f"The embedder sent vectors of shape {rows.shape} instead of {expected}.")
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise EmbedderRefused("The embedder sent vectors that point nowhere: zeros, or not numbers.")
    return rows / norms


def _failure(response: httpx.Response) -> EmbedderFailed:
    status, text = response.status_code, response.text[:SHOWN]
    sentence = f"The embedder answered {status}."
    if status in BUSY:
        return EmbedderBusy(sentence, operator=text, retry_after=_seconds(response.headers.get("Retry-After", "")))
    kind = EmbedderFailed if status in TRY_LATER or status >= 500 else EmbedderRefused
    return kind(sentence, operator=text)


def _seconds(retry_after: str) -> float | None:
    """Read a Retry-After header: a number of seconds or a date."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a time zone
        return None
