"""Every exception that a user can meet.

Each has one argument, its message, so that it can be sent from one process to another. A message says what happened
and where, what was expected, what was received, and what to type next.
"""

import os


class OutOfCoreError(Exception):
    """The base class of every error that keras_oocore raises on purpose."""


class OptionError(OutOfCoreError, ValueError):
    """An argument cannot work. This is raised before any data is read."""


class DataError(OutOfCoreError, ValueError):
    """Data on disk is missing, damaged, or not what was expected."""


class SampleError(DataError):
    """A sample cannot be read. The message names its file.

    Attributes:
        reason: The message without the file.
        fix: What the user can do about it, as the start of a sentence.
        proven: Whether the bytes of the file prove it. `False` if the file is missing, or if the disk, the network or
            the permissions prevent reading it: the file may be read the next time, so a cache does not remember it.
    """

    reason = ""
    fix = "Fix or remove it"
    proven = True

    @classmethod
    def of(cls, sample: int, name: str, reason: str, proven: bool = True) -> "SampleError":
        """Return the error for a sample whose file (or file and row) is `name`."""
        error = cls(f"Cannot read sample {sample}, {name!r}: {reason}.")
        error.reason = reason
        return error if proven else error._unproven()

    @classmethod
    def unproven(cls, reason: str) -> "SampleError":
        """Return the error for a file whose bytes could not be read. The caller adds the name of the file."""
        return cls(reason)._unproven()

    def _unproven(self) -> "SampleError":
        self.proven: bool = False
        self.fix: str = (
            "The file may be intact: check its path, its permissions and the disk or network, and run this again"
        )
        return self

    @property
    def with_fix(self) -> str:
        """The message with what to do about it, for `on_error="raise"`."""
        return f'{self} {self.fix}, or pass on_error="skip" or "replace".'

    def raised(self) -> "SampleError":
        """Return the error to raise with `on_error="raise"`, whose message says what to do about it."""
        error = SampleError(self.with_fix)
        error.reason, error.fix, error.proven = self.reason, self.fix, self.proven
        return error


class FormError(SampleError):
    """A sample can be read, but has another shape or dtype than the first one."""

    fix = "Pad or crop the arrays to one shape, and convert them to one dtype, in the `reader`"


class CSVError(DataError):
    """A CSV file cannot be read as a table. The message names the file; `fault` says what is wrong without the file."""

    fault = ""

    @classmethod
    def of(cls, path: str | os.PathLike[str], fault: str, fix: str) -> "CSVError":
        """Return the error for the CSV file `path`. `fix` is what to type next, such as an option."""
        error = cls(f"{os.fspath(path)}: {fault} {fix}")
        error.fault = fault
        return error


class DestinationError(OutOfCoreError, OSError):
    """A file or folder cannot be written: it is read-only, full, in use, or contains other files."""


class BusyError(DestinationError):
    """Another process, or another object of this process, is writing to the folder."""


class ResourceError(OutOfCoreError, OSError):
    """This process or machine has too many open files, or no more memory. No file is at fault, and the run stops."""


class MissingExtraError(OutOfCoreError, ImportError):
    """An optional package is not installed. The message has the `pip install` line that installs it."""
