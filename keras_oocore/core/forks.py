"""What objects do in a forked child process, which inherits their memory and files but none of their threads."""

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object with locks, threads or files that a forked child cannot use."""

    def reset_after_fork(self) -> None:
        """Drop them. This is called in the child before any other code runs."""


_fork_aware = weakref.WeakSet()


def register_fork_aware(thing: ForkAware) -> None:
    """Call `thing.reset_after_fork()` in every child process that is forked while `thing` is alive."""
    _fork_aware.add(thing)


def _reset_all() -> None:
    for thing in list(_fork_aware):
        thing.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
