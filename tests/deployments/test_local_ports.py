import os
import socket
from collections.abc import Iterator

import pytest

from deployments.local.ports import free_port, require_free
from kowai.errors import CannotStart


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_its_taker_and_the_variable_that_chooses_another(taken: int) -> None:
    with pytest.raises(CannotStart, match=rf"Port {taken} .*process {os.getpid()}.*KOWAI_PORT="):
        require_free("127.0.0.1", taken, "KOWAI_PORT")


def test_a_free_port_is_fine() -> None:
    require_free("127.0.0.1", free_port(), "KOWAI_PORT")


def test_an_address_that_is_not_ours_says_why() -> None:
    with pytest.raises(CannotStart, match="cannot be used"):
        require_free("203.0.113.1", free_port(), "KOWAI_PORT")
