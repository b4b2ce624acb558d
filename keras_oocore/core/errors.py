"""Every exception a user can meet.

Each takes one message, so that it crosses a process pool, and each message says what happened and where, what was
expected, what was received and what to type next.
"""

ON_ERROR = 'Mend or remove it, or pass on_error="skip" or "replace".'


class OutOfCoreError(Exception):
    """Base of every error that keras_oocore raises on purpose."""


class OptionError(OutOfCoreError, ValueError):
    """An argument that cannot work, found before any data is read."""


class DataError(OutOfCoreError, ValueError):
    """Data on disk that is not what it should be."""


class SampleError(DataError):
    """One sample that cannot be read; the message names its file, `reason` does not."""

    reason = ""

    @classmethod
    def of(cls, sample: int, name: str, reason: str) -> "SampleError":
        """The error of one sample, which `name` says in a person's words."""
        error = cls(f"Cannot read sample {sample}, {name!r}: {reason}.")
        error.reason = reason
        return error


class DestinationError(OutOfCoreError, OSError):
    """A file or folder that cannot be written: read-only, full, in use, or holding something else."""


class BusyError(DestinationError):
    """A folder that another process, or another object of this one, is writing."""


class MissingExtraError(OutOfCoreError, ImportError):
    """An optional package that is not installed; the message holds the `pip install` line that mends it."""
