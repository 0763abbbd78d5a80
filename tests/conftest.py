"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Undo what a shell does to jobs in the background: they, and their children, ignore Ctrl-C.

    A test that interrupts a command would wait for it for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
