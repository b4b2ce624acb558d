"""The warning about files that were read although they may be damaged."""

from collections.abc import Mapping

from keras_oocore.core.text import and_more
from keras_oocore.core.warn import warn_user


def warn_of_doubtful(doubts: Mapping[str, str]) -> None:
    """Warn that files may be damaged.

    Args:
        doubts: Dictionary from file to reason, not empty.
    """
    file, reason = next(iter(doubts.items()))
    others = and_more(len(doubts), 1)
    warn_user(
        f"{file!r}{others} may be damaged: {reason.rstrip('.')}. The model receives what could be decoded. "
        "`doubtful_samples` lists all such files that were read. To treat them as unreadable, pass strict=True.",
        kind="may be damaged",
    )
