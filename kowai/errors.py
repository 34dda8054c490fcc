"""The one tree of errors: each knows its code, its HTTP status and whether trying again can help."""

from typing import Any, ClassVar


class KowaiError(Exception):
    """Carry one sentence for the user and, where it helps, one for the operator."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, sentence: str, *, operator: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.operator = operator

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.sentence, self.operator)


def _rebuild(kind: type[KowaiError], sentence: str, operator: str | None) -> KowaiError:
    return kind(sentence, operator=operator)


class Misconfigured(KowaiError):
    code, http_status = "misconfigured", 500


class CannotStart(Misconfigured):
    code = "cannot_start"


class Unavailable(KowaiError):
    code, http_status, retryable = "unavailable", 503, True


class DatabaseAway(Unavailable):
    code = "database_unavailable"  # a restart of the database mends it


class Unauthenticated(KowaiError):
    code, http_status = "unauthenticated", 401


class Forbidden(KowaiError):
    code, http_status = "forbidden", 403


class TenantSuspended(Forbidden):
    code = "tenant_suspended"


class NotFound(KowaiError):
    code, http_status = "not_found", 404


class NothingToReplay(KowaiError):
    code, http_status = "nothing_to_replay", 409  # there is no answer, or not what it takes to make it again


class InvalidInput(KowaiError):
    code, http_status = "invalid_input", 422


class TooLarge(InvalidInput):
    code, http_status = "too_large", 413


class TenantMissing(KowaiError):
    code = "tenant_missing"


class SpaceMismatch(KowaiError):
    code, http_status = "space_mismatch", 409


class SpaceUnready(SpaceMismatch):
    """Say that another space is being built: one at a time."""

    code = "space_unready"


class ModelFailed(KowaiError):
    code, http_status, retryable = "model_failed", 502, True


class ModelRefused(ModelFailed):
    """Say that the model rejected the request itself, which no retry can mend."""

    code, retryable = "model_refused", False


class ModelUnreadable(ModelFailed):
    """Say that the model's reply did not have the asked-for form, which another reply may."""

    code = "model_unreadable"


class BudgetExhausted(KowaiError):
    """Say that a call may cost more than is left to spend: a refusal, not a breakdown."""

    code, http_status = "budget_exhausted", 402


class PriceUnknown(BudgetExhausted):
    code = "price_unknown"


class EvaluationBroken(KowaiError):
    code = "evaluation_broken"


class EmbedderFailed(KowaiError):
    code, http_status, retryable = "embedder_failed", 502, True


class EmbedderRefused(EmbedderFailed):
    """Say that the embedder rejected the request itself, which no retry can mend."""

    code, retryable = "embedder_refused", False


class EmbedderBusy(EmbedderFailed):
    """Say that the embedder asks to be left alone, for `retry_after` seconds if it says for how long."""

    code, http_status = "embedder_busy", 503

    def __init__(self, sentence: str, *, operator: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(sentence, operator=operator)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return *super().__reduce__(), {"retry_after": self.retry_after}


class DocumentError(KowaiError):
    """Say why one document cannot be indexed; its code is the cause of a dead letter."""

    code, http_status = "unreadable", 422


class SourceMissing(DocumentError):
    code = "source_missing"


class SourceChanged(DocumentError):
    """Say that a file was written while it was read: what was read may be half of each."""

    code, retryable = "source_changed", True


class SourceForbidden(DocumentError):
    code = "source_forbidden"


class SourceEmpty(DocumentError):
    code = "source_empty"


class SourceLoop(DocumentError):
    code = "source_loop"


class EmptyDocument(DocumentError):
    code = "empty"


class NoText(DocumentError):
    code = "needs_ocr"


class NotText(DocumentError):
    code, http_status = "not_text", 415


class Encrypted(DocumentError):
    code = "encrypted"


class Corrupt(DocumentError):
    code = "corrupt"


class ReaderCrashed(Corrupt):
    code = "reader_crashed"


class ReaderTimeout(DocumentError):
    code = "reader_timeout"


class BadRecord(DocumentError):
    code = "bad_record"


class DuplicateId(BadRecord):
    code = "duplicate_id"


class Bomb(DocumentError):
    """Say that a document unpacks to so much more than it is that nobody made it to be read."""

    code, http_status = "bomb", 413


class DocumentTooLarge(DocumentError):
    code, http_status = "document_too_large", 413

    @classmethod
    def beyond(cls, name: str, max_bytes: int) -> "DocumentTooLarge":
        return cls(f"{name} is larger than the {max_bytes / 1e6:,.3g} MB that are read: split it.")


class UnknownFormat(DocumentError):
    code, http_status = "unknown_format", 415


class FormatMismatch(DocumentError):
    code, http_status = "format_mismatch", 415


class FetchRefused(DocumentError):
    code = "fetch_refused"


class FetchFailed(DocumentError):
    code, retryable = "fetch_failed", True


class FetchTimeout(FetchFailed):
    code = "fetch_timeout"


class FetchRejected(FetchFailed):
    """Say that the server refused, so that asking again cannot help."""

    code, retryable = "fetch_rejected", False


class RobotsRefused(DocumentError):
    code = "robots_refused"


class GitFailed(DocumentError):
    """Say that a repository could not be read; the same call may succeed later."""

    code, retryable = "git_failed", True
