"""The embedded PostgreSQL as a process: how it is started, who may connect, when it is ready."""

import hashlib
import os
import pwd
import signal
import tempfile
from pathlib import Path
from urllib.parse import quote

import psutil

from deployments.local.cluster import OWNER, binaries
from deployments.local.layout import Layout
from deployments.local.os_user import database_user, give, own_name
from kowai.errors import CannotStart

PORT = 5432
FAST = signal.SIGINT  # open transactions are rolled back, data is flushed
DATABASE = "kowai"
LEAST_BUFFERS, MOST_BUFFERS = 128, 256  # MB, taken up only as data is read
PART = 32  # of the memory: what a laptop can spare
LINES = Path("log") / "postgres.json"  # in the cluster, where whoever PostgreSQL runs as may write
# An error of a statement repeats what it was given, so only whoever sent it is told of it: the level `log` leaves out
# errors, and keeps what befalls the server itself.
DISCREET = ("log_min_messages=log", "log_min_error_statement=panic", "log_parameter_max_length=0")
AS_JSON = (
    *("logging_collector=on", "log_destination=jsonlog", "log_rotation_age=0", "log_rotation_size=0"),
    *(f"log_directory={LINES.parent}", f"log_filename={LINES.with_suffix('.log').name}", "log_file_mode=0600"),
)
LONGEST_SOCKET_PATH = 103  # macOS; Linux has four more
# The owner is whoever the operating system says it is; the application needs its password.
ACCESS = f"local all {OWNER} peer map=kowai\nlocal all all scram-sha-256\n"


def command(cluster: Path, *, as_json: bool = True) -> tuple[str, ...]:
    """Return the command of a server in the foreground that listens on a Unix socket only."""
    settings = ("listen_addresses=", f"port={PORT}", f'unix_socket_directories="{socket_folder(cluster)}"')
    settings += (f"shared_buffers={buffers(psutil.virtual_memory().total)}MB", *DISCREET, *(AS_JSON if as_json else ()))
    options = (option for setting in settings for option in ("-c", setting))
    return (str(binaries() / "postgres"), "-D", str(cluster), *options)


def buffers(memory: int) -> int:
    """Return how many megabytes of so many bytes of memory hold what was read before."""
    return min(MOST_BUFFERS, max(LEAST_BUFFERS, memory // PART // 1_000_000))


def prepare(place: Layout) -> None:
    """Make ready what the server needs beside its data. Raises CannotStart."""
    allow_access(place.cluster)
    make_socket_folder(place.cluster)
    if not place.database_lines.is_symlink():
        place.database_lines.symlink_to(Path("..") / place.cluster.name / LINES)


def allow_access(cluster: Path) -> None:
    """Write who may connect: the OS users that run KowAI as the owner, everybody else by password."""
    users = {own_name(), database_user() or own_name()}
    identities = "".join(f'kowai "{user}" {OWNER}\n' for user in sorted(users))
    for name, content in (("pg_hba.conf", ACCESS), ("pg_ident.conf", identities)):
        (cluster / name).write_text(content)


def socket_folder(cluster: Path) -> Path:
    """Return where the socket lies: in the cluster, or, when that path is too long for one, in a private folder."""
    if len(os.fsencode(cluster / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
        return cluster
    name = f"kowai-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / name


def make_socket_folder(cluster: Path) -> None:
    """Make the private folder for the socket, if one is needed. Raises CannotStart when somebody else has it."""
    folder, user = socket_folder(cluster), database_user()
    if folder == cluster:
        return
    try:
        folder.mkdir(mode=0o700)
        give(folder, user)
    except FileExistsError:
        owner = pwd.getpwnam(user).pw_uid if user else os.geteuid()
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != owner or found.st_mode & 0o077:
            raise CannotStart(f"{folder} belongs to somebody else: choose a shorter path as KOWAI_STATE.") from None


def is_ready(cluster: Path, pid: int) -> bool:
    """Return whether the server with this pid accepts connections: it says so in the last line of its pid file."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def leftover(cluster: Path) -> tuple[int, float] | None:
    """Return pid and birth (Unix seconds) of the server that last ran on this cluster, as its pid file says."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), float(lines[2])
    except (OSError, ValueError, IndexError):
        return None


def owner_url(cluster: Path, database: str = DATABASE) -> str:
    return f"postgresql://{OWNER}@/{database}?host={quote(str(socket_folder(cluster)), safe='')}&port={PORT}"
