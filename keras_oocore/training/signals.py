"""SIGTERM and Ctrl-C, noted until the training has come to a place where it can be saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator

NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class StopSignal:
    """The signal that came, if one did."""

    def __init__(self):
        self.received = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return NAMES[self.received]

    def raise_again(self) -> None:
        """End as the signal would have ended the program, now that all is saved."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.received)  # as a shell reports it


@contextlib.contextmanager
def noted() -> Iterator[StopSignal]:
    """Note the first of them; a second one does what it did before.

    Only the main thread gets signals; elsewhere they do what they did before. So does one that was ignored.
    """
    stop, before = StopSignal(), {}
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame) -> None:
        stop.received = number
        put_back()
        print(
            f"\n{stop.name}: the training stops after this batch, and is saved. Once more stops it at once.", flush=True
        )

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in NAMES:
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, note)
    try:
        yield stop
    finally:
        put_back()
