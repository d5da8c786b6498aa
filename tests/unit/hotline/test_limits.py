import resource
from collections.abc import Iterator

import pytest

from hotline.limits import descriptors_needed, raise_descriptor_limit


@pytest.fixture(autouse=True)
def limits() -> Iterator[tuple[int, int]]:
    """The process's limits, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_thousand_calls_need_more_than_systems_allow_without_asking() -> None:
    assert 4 * 1000 < descriptors_needed(1000) < 10_000


def test_a_low_soft_limit_is_raised_to_what_is_needed(limits: tuple[int, int]) -> None:
    _soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    assert raise_descriptor_limit(700) == 700
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (700, hard)


def test_a_limit_that_is_enough_stays(limits: tuple[int, int]) -> None:
    _soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (800, hard))
    assert raise_descriptor_limit(700) == 800


def test_the_hard_limit_is_the_most(limits: tuple[int, int]) -> None:
    _soft, hard = limits
    if hard == resource.RLIM_INFINITY:
        pytest.skip("no hard limit on this machine")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    assert raise_descriptor_limit(hard + 1) == hard
