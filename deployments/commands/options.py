"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer


def keep_state(path: Path | None) -> Path | None:
    """Let everything this command starts or reads use that state directory."""
    import os

    if path is not None:
        os.environ["KOWAI_STATE"] = str(path.expanduser().absolute())
    return path


def keep_tls(pair: tuple[Path, Path] | None) -> tuple[Path, Path] | None:
    """Let the shim speak TLS with this certificate and key."""
    import os

    if pair is not None:
        names = ("KOWAI_TLS_CERTIFICATE", "KOWAI_TLS_KEY")
        os.environ.update(zip(names, (str(path.expanduser().absolute()) for path in pair), strict=True))
    return pair


Tls = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--tls", metavar="CERT KEY", help="Speak HTTPS with these two PEM files.", callback=keep_tls),
]
State = Annotated[
    Path | None,
    typer.Option("--state", help="The state directory; default: KOWAI_STATE, or .kowai here.", callback=keep_state),
]
Url = Annotated[str | None, typer.Option("--url", envvar="KOWAI_URL", help="Where KowAI answers.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", envvar="KOWAI_API_KEY", help="An API key; default: your login's, or the first one.", show_envvar=True
    ),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")]
ApproveAbove = Annotated[
    float, typer.Option("--approve-above", min=0, help="Wait for somebody's approval above so many USD.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's reply as it is.")]
