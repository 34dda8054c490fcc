"""Which folders of this machine may be read as sources."""

import os
from pathlib import Path

from kowai.errors import SourceForbidden
from kowai.settings import settings


def check_place(path: Path) -> None:
    """Raise SourceForbidden for what lies in KowAI's own state, or outside the folders that sources may lie in."""
    place = path.expanduser().resolve()
    if place.is_relative_to(settings().state.expanduser().resolve()):
        raise SourceForbidden("KowAI's own state directory is never ingested.")
    allowed = [Path(folder).expanduser().resolve() for folder in settings().source_folders.split(os.pathsep) if folder]
    if allowed and not any(place.is_relative_to(folder) for folder in allowed):
        raise SourceForbidden("Sources may not lie in this folder: KOWAI_SOURCE_FOLDERS names where they may.")
