"""What the worker does from time to time."""

import pytest

from hotline.errors import UnavailableError
from hotline.wiring.worker import sweep


@pytest.mark.parametrize("problem", [UnavailableError("database: away"), OSError("spool: Input/output error")])
def test_a_sweep_that_fails_does_not_stop_the_next_one(problem: Exception, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def fails() -> None:
        raise problem

    sweep(fails, lambda: done.append("surveys"))
    assert done == ["surveys"]
    assert str(problem) in caplog.text
