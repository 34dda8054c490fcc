"""Which refusals mean that a prompt is longer than the model's window: each server says it in its own words."""

import re

# OpenAI; vLLM (old and new wording); llama.cpp; Ollama; SGLang and TGI; Anthropic and Gemini behind compatible doors.
OVERFLOW = re.compile(
    r"maximum context length|context_length_exceeded|longer than the maximum model length"
    r"|exceeds? the (?:available|model'?s?) context (?:size|length|window)|exceed_context_size"
    r"|context (?:window|length) exceeded|exceeds? (?:the )?(?:maximum )?context (?:window|length)"
    r"|input length exceeds|is longer than the model'?s context length|must be <= \d+.{0,40}inputs"
    r"|prompt is too long|input token count.{0,40}exceeds",
    re.IGNORECASE,
)


def is_overflow(message: str | None) -> bool:
    return bool(message and OVERFLOW.search(message))
