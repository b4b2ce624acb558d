"""What objects do in a forked child, which gets their memory and files and none of their threads."""

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Holds locks, threads or files that are of no use in a child."""

    def reset_after_fork(self) -> None:
        """Called in the child, first of all."""


_fork_aware = weakref.WeakSet()


def register_fork_aware(thing: ForkAware) -> None:
    """Have `thing.reset_after_fork()` called in every child that is forked from now on, as long as `thing` lives."""
    _fork_aware.add(thing)


def _reset_all() -> None:
    for thing in list(_fork_aware):
        thing.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
