import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.local.lock import held, holder, is_held
from kowai.errors import CannotStart

HOLD = "import sys, time; from pathlib import Path; from deployments.local.lock import held\n"
HOLD += "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "lock"


def test_the_second_one_is_told_which_process_holds_the_state(lock: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as other:
        assert other.stdout
        other.stdout.readline()
        assert is_held(lock)
        with pytest.raises(CannotStart, match=rf"already runs .*process {other.pid}"), held(lock):
            pass
        other.kill()


def test_a_killed_holder_leaves_no_lock_behind(lock: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as other:
        assert other.stdout
        other.stdout.readline()
        other.kill()
    assert not is_held(lock)
    with held(lock):
        assert holder(lock)["pid"] == os.getpid()


def test_looking_at_the_lock_does_not_take_it(lock: Path) -> None:
    assert not is_held(lock)
    with held(lock):
        assert is_held(lock)
    assert not is_held(lock)
