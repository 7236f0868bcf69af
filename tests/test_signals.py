import signal

import pytest

from pcvae.signals import is_repetition, stop_numbers


@pytest.fixture
def handler_of_hang_up():
    before = signal.getsignal(signal.SIGHUP)
    yield lambda handler: signal.signal(signal.SIGHUP, handler)
    signal.signal(signal.SIGHUP, before)


def test_a_hang_up_asks_for_an_end_unless_nohup_has_it_ignored(handler_of_hang_up):
    handler_of_hang_up(signal.SIG_DFL)
    assert stop_numbers() == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handler_of_hang_up(signal.SIG_IGN)
    assert stop_numbers() == (signal.SIGINT, signal.SIGTERM)


def test_a_second_hang_up_is_no_impatience():
    assert is_repetition(signal.SIGHUP, [signal.SIGHUP])
    assert is_repetition(signal.SIGHUP, [signal.SIGTERM])
    assert not is_repetition(signal.SIGHUP, [])
    assert not is_repetition(signal.SIGINT, [signal.SIGINT])
