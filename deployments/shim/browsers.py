"""What a browser is told not to do with a reply (OWASP, HTTP Headers Cheat Sheet)."""

from collections.abc import Iterable

from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

ALWAYS = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"content-security-policy": b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
BY_TLS = {b"strict-transport-security": b"max-age=31536000"}  # other ports of this host are not ours to decide on


def protective(scope: Scope, sent: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return what a reply lacks; a page that may be kept, or needs another policy, has said so itself."""
    known = {name.lower() for name, _ in sent}
    wanted = ALWAYS | (BY_TLS if scope["scheme"] == "https" else {})
    return [(name, value) for name, value in wanted.items() if name not in known]
