"""SIGTERM and Ctrl-C, deferred until the training can be saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class StopSignal:
    """The signal that was received, if any."""

    def __init__(self):
        self.received: int | None = None


def raise_again(signal_number: int, message: str) -> NoReturn:
    """End the program as the signal would have ended it, with the last line of a traceback saying what to do."""
    if signal_number == signal.SIGINT:
        raise KeyboardInterrupt(message)
    raise SystemExit(128 + signal_number)  # the exit status that a shell reports


@contextlib.contextmanager
def deferred_signals(num_processes: int = 1) -> Iterator[StopSignal]:
    """Record the first signal instead of acting on it. A second signal does what it did before.

    Only the main thread receives signals; in other threads, nothing changes. A signal that was ignored stays ignored.
    """
    stop, before = StopSignal(), {}
    when = (
        "after this batch" if num_processes == 1 else f"in all {num_processes} processes after one of the next batches"
    )
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def record(number: int, frame: Any) -> None:
        stop.received = number
        restore()
        print(f"\n{NAMES[number]}: the training stops {when} and is saved. Repeat it to stop at once.", flush=True)

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
