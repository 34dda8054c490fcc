"""What a person can do about a dead letter: one sentence for each cause."""

OTHERWISE = "Read what happened, mend the document and replay it."

REMEDIES = {
    "abandoned": "The worker died on it again and again: look for what kills it in the worker's log, or leave it out.",
    "bad_record": "Mend the line so that it is one JSON object with `_id` and `text`, then replay.",
    "bomb": "It unpacks to far more than is read: unpack it yourself and ingest what you need.",
    "budget_exhausted": "Raise the tenant's daily limit by `kowai allowances`, or wait until tomorrow, then replay.",
    "cancelled": "Somebody called its ingestion off: replay it if it is wanted after all.",
    "corrupt": "Open the file in the program that made it, save it again, then replay.",
    "document_too_large": "Split the document, or raise KOWAI_MAX_DOCUMENT_BYTES, then replay.",
    "duplicate_id": "Give every record of the file its own `_id`, then replay.",
    "embedder_busy": "Wait until the embedding endpoint accepts more, then replay.",
    "embedder_failed": "Check the embedding endpoint with `kowai doctor`, then replay.",
    "embedder_refused": "Correct the embedder's model name or key in its block, then replay.",
    "empty": "Nothing is in it: leave it out, or fill it and replay.",
    "encrypted": "Save a copy without a password and ingest that.",
    "fetch_failed": "The server failed: replay when it answers again.",
    "fetch_refused": "The address may not be fetched: use a public one, or set KOWAI_ALLOW_PRIVATE_URLS.",
    "fetch_rejected": "The server refuses this address: correct the URL, or remove the source.",
    "fetch_timeout": "The server was too slow: replay later.",
    "format_mismatch": "Rename the file so that its suffix says what it is, then replay.",
    "git_failed": "Check that the repository and branch exist and that git is installed, then replay.",
    "internal": "This is a fault of ours: replay once, and report it if it dies again.",
    "misconfigured": "Run `kowai doctor`, do what it says, then replay.",
    "needs_ocr": "Its text is only pictures or has no mapping: run OCR over it, then ingest the result.",
    "no_text": "It holds only pictures of text: run OCR over it, then ingest the result.",
    "not_text": "It is not text: convert it to a format that is read.",
    "price_unknown": "Give the embedder a price in its block, or allow an unknown one there, then replay.",
    "reader_crashed": "Convert it to another format, such as PDF/A or plain text, then ingest that.",
    "reader_timeout": "Split the document or simplify it, then replay.",
    "rejected": "A reviewer left it out: release it from the quarantine if that was wrong.",
    "robots_refused": "The site's robots.txt forbids it: ask its owner, or remove the source.",
    "source_changed": "It was written to while it was read: replay when it is at rest.",
    "source_empty": "The source holds nothing that is read: correct its name or pattern, or remove it.",
    "source_forbidden": "Let the worker's user read it, then replay.",
    "source_loop": "Remove the link that leads back to itself, then replay.",
    "source_missing": "Put the file back, or remove the source; then replay.",
    "space_mismatch": "Set the embedder back to the model of the store, or reindex, then replay.",
    "storage_full": "Make room on the disk of the bucket or the database, then replay.",
    "database_unavailable": "The database was out of reach: replay when `kowai status` shows it running.",
    "unavailable": "A part of KowAI was out of reach: replay when `kowai status` shows all running.",
    "unindexable": "Remove what the database refuses, such as null bytes, then replay.",
    "unknown_format": "Convert it to a format that is read, such as PDF, DOCX, HTML or Markdown.",
    "unreadable": "Convert it to another format; if it is sound, report it.",
}


def remedy(cause: str) -> str:
    """Return what to do about a dead letter of this cause."""
    return REMEDIES.get(cause, OTHERWISE)
