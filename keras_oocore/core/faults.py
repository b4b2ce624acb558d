"""Tells the fault of a file from a fault of the disk, the network or this process, which says nothing about the file.

Only the bytes of a file prove that it cannot be read. A disk that fails may work again, a missing file may come back,
and a process with too many open files cannot read any other file either.
"""

import contextlib
import errno
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from keras_oocore.core.errors import DataError, ResourceError, SampleError
from keras_oocore.core.threads import end_if_unwanted

RETRIES = 2  # how often a fault that may pass is tried again, by default
MOST_PAUSE_SECONDS = 0.5  # short, because a thread that pauses delays `close` and the next batch
MOST_IN_A_ROW = 5  # files that fail with the disk or network; then the next one is not tried instead

# This process or machine has no more of something that every file requires.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

# Of disks, and of network file systems that reconnect. Not every system has all of them.
_PASSING_NAMES = (
    "EIO", "ESTALE", "EAGAIN", "EWOULDBLOCK", "EINTR", "EBUSY", "ETIMEDOUT", "EREMOTEIO", "ENOLINK", "ECOMM", "EPROTO",
    "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETRESET", "ENETUNREACH",
    "ENOBUFS", "ENOLCK", "ENOTCONN", "EPIPE", "ESHUTDOWN",
)  # fmt: skip
_PASSING = {getattr(errno, name) for name in _PASSING_NAMES if hasattr(errno, name)}
_PASSING_TYPES = (
    *(BlockingIOError, ConnectionError, InterruptedError, TimeoutError),  # readers raise them without errno
    SystemError,  # of Python itself. Python 3.11.7 raised one at random while threads parsed headers of .npy files
)

REMEDIES = {  # `errno` of `_EXHAUSTED` → what to type
    errno.EMFILE: "Close some files, or raise the limit before Python starts: ulimit -n 65536",
    errno.ENFILE: "All processes of this machine share this limit. End some of them.",
    errno.ENOMEM: "Use a smaller `memory_limit` or fewer `workers`, or end other programs. If only this file needs so "
    "much memory, check the file.",
}

T = TypeVar("T")


class Fault(NamedTuple):
    """What an error of reading a file means.

    Attributes:
        proven: Whether the bytes of the file prove it, so that reading them again fails in the same way.
        passes: Whether reading may succeed a moment later.
        exhausted: An `errno` if this process or machine ran out of memory or open files, else `None`. Every other file
            fails alike.
    """

    proven: bool
    passes: bool
    exhausted: int | None


def fault_of(error: BaseException, outer: BaseException | None = None, implicit: bool = True) -> Fault:
    """Return what an error of reading a file means. Errors that it was raised from, or while handling, count too.

    Args:
        error: The error.
        outer: The exception that was being handled before reading began. It says nothing about the file.
        implicit: Whether errors count that were being handled when another one was raised. Readers of users raise
            their own errors in this way; this package raises them `from` others.

    >>> fault_of(ValueError("not an image")).proven
    True
    >>> fault_of(OSError(errno.EIO, "Input/output error"))
    Fault(proven=False, passes=True, exhausted=None)
    >>> fault_of(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    Fault(proven=False, passes=False, exhausted=None)
    """
    errors = list(_chain(error, outer, implicit))
    numbers = {one.errno for one in errors if isinstance(one, OSError)} - {None}
    exhausted = next(iter(sorted(numbers & _EXHAUSTED)), None)
    if any(isinstance(one, MemoryError) for one in errors):
        exhausted = errno.ENOMEM
    passes = bool(numbers & _PASSING) or any(isinstance(one, _PASSING_TYPES) for one in errors)
    elsewhere = any(isinstance(one, SampleError) and not one.proven for one in errors)
    # Decoders such as Pillow raise OSErrors without `errno` for damaged bytes.
    return Fault(not (numbers or passes or elsewhere or exhausted), passes and exhausted is None, exhausted)


def _chain(
    error: BaseException | None, outer: BaseException | None = None, implicit: bool = True
) -> Iterator[BaseException]:
    seen = {id(outer)}
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (error.__context__ if implicit and not error.__suppress_context__ else None)


def stopped_by(error: Exception, exhausted: int, what: str) -> Exception:
    """Return the error that stops a run, whatever `on_error` is, because no other file can be read either.

    Args:
        error: The error of reading.
        exhausted: The `errno` of its `Fault`.
        what: What could not be read, such as `"sample 3, 'cats/3.png'"`.
    """
    message = (
        f"Cannot read {what}: {_reason(error)}. The file may be intact, and other files would fail alike, so the run "
        f"stops and `on_error` does not apply. {REMEDIES[exhausted]}"
    )
    out_of_memory = any(isinstance(one, MemoryError) for one in _chain(error))
    return MemoryError(message) if out_of_memory else ResourceError(message)


def _reason(error: Exception) -> str:
    """Return what the operating system says."""
    errors = list(_chain(error))
    first = next((one for one in errors if isinstance(one, MemoryError) or getattr(one, "errno", None)), error)
    return (getattr(first, "strerror", None) or str(first) or type(first).__name__).rstrip(".")


def require_damage(error: Exception, what: str) -> None:
    """Raise another error, unless `error` says that files are damaged or missing.

    Args:
        error: The error of opening `what`.
        what: Such as `"the cache 'DIR'"`.

    Raises:
        DataError: If the disk or network fails.
        ResourceError: If this process has too many open files.
    """
    fault = fault_of(error, implicit=False)
    if fault.exhausted is not None:
        raise stopped_by(error, fault.exhausted, what) from error
    if fault.passes:
        raise DataError(
            f"Cannot read {what}: {_reason(error)}. Its files may be intact: check the disk or network, and run this "
            "again."
        ) from error


@contextlib.contextmanager
def opening(what: str) -> Iterator[None]:
    """Within the block, errors about damaged files are raised only if the files are damaged: see `require_damage`."""
    try:
        yield
    except DataError as error:
        require_damage(error, what)
        raise


def pause(attempt: int) -> None:
    """Wait before attempt 1, 2, ... to read something again."""
    end_if_unwanted()
    time.sleep(min(0.1 * 3 ** (attempt - 1), MOST_PAUSE_SECONDS))


def retried(read: Callable[..., T], *arguments: Any, retries: int = RETRIES) -> T:
    """Return `read(*arguments)`. A fault that may pass is tried again.

    >>> results = [OSError(errno.EIO, "Input/output error"), 7]
    >>> def read():
    ...     result = results.pop(0)
    ...     if isinstance(result, OSError):
    ...         raise result
    ...     return result
    >>> retried(read)
    7
    """
    outer = sys.exception()
    for attempt in range(1, retries + 1):
        try:
            return read(*arguments)
        except Exception as error:
            if not fault_of(error, outer).passes:
                raise
        pause(attempt)
    return read(*arguments)
