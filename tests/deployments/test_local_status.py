"""What `kowai status` says of memory."""

import subprocess
import sys

import psutil

from deployments.local.status import own_bytes, resident_bytes

SHARING = """
import os, sys
held = bytearray(os.urandom(60_000_000))
for _ in range(2):
    if not os.fork():
        break
print("x", flush=True)
sys.stdin.read()
"""


def test_pages_that_forks_share_count_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SHARING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin
        assert parent.stdout
        for _ in range(3):
            parent.stdout.readline()
        held = resident_bytes(psutil.Process(parent.pid))
        parent.stdin.close()
        parent.wait()
    assert 60_000_000 < held < (120_000_000 if psutil.LINUX else 240_000_000)


def test_a_process_that_is_gone_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = psutil.Process(process.pid)
    process.communicate()
    assert own_bytes(known) == 0
