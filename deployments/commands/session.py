"""The login of `kowai login`: one file beside the secrets, renewed when its access token has run out."""

import json
import ssl
import time
from typing import Any

import httpx

from deployments.local.layout import layout
from deployments.local.secret_files import write_secret

NAME = "login"
EARLY_SECONDS = 30.0


def keep_session(url: str, tokens: dict[str, Any]) -> None:
    """Remember a login, readable by its owner only."""
    folder = layout().secrets
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    until = time.time() + float(tokens["expires_in"])
    write_secret(folder / NAME, json.dumps({"url": url, "until": until} | tokens))


def session_token(url: str, verify: ssl.SSLContext | bool = True) -> str | None:
    """Return the access token of the login at `url`, a fresh one if need be; None when nobody is logged in there."""
    path = layout().secrets / NAME
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    if kept["url"] != url:
        return None
    if kept["until"] - EARLY_SECONDS < time.time():
        presented = {"refresh_token": kept["refresh_token"]}
        response = httpx.post(f"{url}/api/v1/auth/refresh", json=presented, timeout=30.0, verify=verify)
        if response.is_error:
            return None
        keep_session(url, kept := response.json())
    return kept["access_token"]


def forget_session() -> str | None:
    """Forget the login; return its refresh token, so that the server can end it too."""
    path = layout().secrets / NAME
    if not path.exists():
        return None
    token = json.loads(path.read_text())["refresh_token"]
    path.unlink()
    return token
