"""SIGTERM and Ctrl-C, deferred until the training can be saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class StopSignal:
    """The signal that was received, if any."""

    def __init__(self):
        self.received: int | None = None

    @property
    def name(self) -> str:
        """The name that a user knows the signal by."""
        return NAMES[self.received]

    def raise_again(self, message: str) -> None:
        """End the program as the signal would have ended it, with the last line of a traceback saying what to do."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt(message)
        raise SystemExit(128 + self.received)  # the exit status that a shell reports


@contextlib.contextmanager
def deferred_signals() -> Iterator[StopSignal]:
    """Record the first signal instead of acting on it. A second signal does what it did before.

    Only the main thread receives signals; in other threads, nothing changes. A signal that was ignored stays ignored.
    """
    stop, before = StopSignal(), {}
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def record(number: int, frame: Any) -> None:
        stop.received = number
        restore()
        print(
            f"\n{stop.name}: the training stops after this batch and is saved. Repeat it to stop at once.", flush=True
        )

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in NAMES:
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, record)
    try:
        yield stop
    finally:
        restore()
