"""What the environment gives this process as secrets, checked before anything starts."""

import os

from deployments.local.environment import own_prefect
from kowai.errors import CannotStart
from kowai.given_secrets import LEAST_KEY, Given, faults, password_of
from kowai.settings import Settings


def check_given_secrets(settings: Settings) -> None:
    """Raise CannotStart when a secret of the user's own database, Prefect or tokens is none."""
    urls = {"KOWAI_DATABASE_URL": settings.database_url, "KOWAI_APP_DATABASE_URL": settings.app_database_url}
    given = [Given(f"The password in {name}", password_of(url.get_secret_value())) for name, url in urls.items() if url]
    if settings.token_key is not None:
        given.append(Given("KOWAI_TOKEN_KEY", settings.token_key.get_secret_value(), LEAST_KEY))
    if own_prefect(settings) is not None:
        auth = os.environ.get("PREFECT_API_AUTH_STRING")
        given.append(Given("The password in PREFECT_API_AUTH_STRING", auth and auth.partition(":")[2]))
        given.append(Given("PREFECT_API_KEY", os.environ.get("PREFECT_API_KEY")))
    if found := list(faults(given)):
        raise CannotStart(" ".join(found))
