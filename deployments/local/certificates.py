"""The certificate of `kowai up --tls`, and how the programs of this state directory recognise it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.local.layout import Layout
from kowai.errors import CannotStart

if TYPE_CHECKING:  # pydantic costs a fifth of a second
    from kowai.settings import Settings

END = "-----END CERTIFICATE-----\n"


def keep_certificate(place: Layout, settings: Settings) -> None:
    """See that certificate and key fit, and keep the former for our own clients. Raises CannotStart."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        if certificate or key:
            raise CannotStart("KOWAI_TLS_CERTIFICATE and KOWAI_TLS_KEY belong together: name both, or neither.")
        place.certificate.unlink(missing_ok=True)
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.expanduser(), key.expanduser(), password="")
        first, end, _ = certificate.expanduser().read_text().partition(END)
    except (OSError, ValueError) as error:
        raise CannotStart(
            f"{certificate} and {key} cannot be used for TLS ({error}): it takes a certificate chain and its key, "
            "both in PEM form, the key without a password."
        ) from error
    place.certificate.write_text(first[first.index("-----BEGIN CERTIFICATE") :] + end)


def tls_arguments(settings: Settings) -> tuple[str, ...]:
    """Return what uvicorn is told."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return ()
    files = (settings.tls_certificate.expanduser().absolute(), settings.tls_key.expanduser().absolute())
    connections = "deployments.shim.tls_connections"
    connection = ("--http", f"{connections}:TlsConnection", "--ws", f"{connections}:TlsSocket")
    return ("--ssl-certfile", str(files[0]), "--ssl-keyfile", str(files[1]), *connection)


def trusting(certificate: Path) -> ssl.SSLContext | bool:
    """Trust this very certificate, whoever issued it to whatever name; as everybody does when there is none."""
    if not certificate.exists():
        return True
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False  # we reach ourselves by an address
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
