"""What objects do in a forked child, which gets their memory and files and none of their threads."""

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Holds locks, threads or files that are of no use in a child."""

    def renew(self) -> None:
        """Called in the child, first of all."""


_renewables = weakref.WeakSet()


def renewed_in_children(thing: Renewable) -> None:
    """Have `thing.renew()` called in every child that is forked from now on, as long as `thing` lives."""
    _renewables.add(thing)


def _renew_all() -> None:
    for thing in list(_renewables):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
