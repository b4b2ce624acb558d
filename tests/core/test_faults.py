"""core/faults: which errors are the fault of a file, which may pass, and which stop a run."""

import errno
import os
import pickle

import pytest
from PIL import Image, UnidentifiedImageError

from keras_oocore.core import faults
from keras_oocore.core.errors import OutOfCoreError, ResourceError, SampleError
from keras_oocore.core.faults import Fault, fault_of, pause, retried, stopped_by

OF_THE_FILE = Fault(proven=True, passes=False, exhausted=None)
PASSING = Fault(proven=False, passes=True, exhausted=None)
ELSEWHERE = Fault(proven=False, passes=False, exhausted=None)


def failed(code):
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("5 bytes"), OF_THE_FILE),
        (EOFError(), OF_THE_FILE),
        (SampleError("empty file"), OF_THE_FILE),
        (OSError("image file is truncated"), OF_THE_FILE),
        (UnidentifiedImageError("cannot identify image file"), OF_THE_FILE),
        (failed(errno.EIO), PASSING),
        (failed(errno.ESTALE), PASSING),
        (failed(errno.EAGAIN), PASSING),
        (failed(errno.ETIMEDOUT), PASSING),
        (failed(errno.EINTR), PASSING),
        (failed(errno.ENOTCONN), PASSING),
        (TimeoutError("slow"), PASSING),
        (ConnectionResetError(), PASSING),
        (SystemError("AST constructor recursion depth mismatch (before=45, after=43)"), PASSING),
        (failed(errno.ENOENT), ELSEWHERE),
        (failed(errno.EACCES), ELSEWHERE),
        (failed(errno.ENOSPC), ELSEWHERE),
        (SampleError.unproven("file not found"), ELSEWHERE),
        (failed(errno.EMFILE), Fault(False, False, errno.EMFILE)),
        (failed(errno.ENFILE), Fault(False, False, errno.ENFILE)),
        (failed(errno.ENOMEM), Fault(False, False, errno.ENOMEM)),
        (MemoryError(), Fault(False, False, errno.ENOMEM)),
    ],
    ids=repr,
)
def test_fault_of_an_error(error, expected):
    assert fault_of(error) == expected


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.EACCES])
def test_cause_and_context_count(code):
    def wrapped(cause):
        try:
            try:
                raise failed(code)
            except OSError as error:
                raise ValueError("not read") from (error if cause else error.__cause__)
        except ValueError as error:
            return error

    assert fault_of(wrapped(cause=True)) == fault_of(failed(code))
    assert fault_of(wrapped(cause=False)) == OF_THE_FILE  # `from None`
    implicit = ValueError("not read")
    implicit.__context__ = failed(code)  # raised while the other was handled
    assert fault_of(implicit) == fault_of(failed(code))
    assert fault_of(implicit, outer=implicit.__context__) == OF_THE_FILE
    assert fault_of(implicit, implicit=False) == OF_THE_FILE


def test_circle_of_contexts_ends():
    first, second = ValueError("1"), ValueError("2")
    first.__context__, second.__context__ = second, first

    assert fault_of(first) == OF_THE_FILE


def test_error_of_a_damaged_image_is_proven(tmp_path):
    (tmp_path / "0.png").write_bytes(b"not an image")
    with pytest.raises(UnidentifiedImageError) as caught:
        Image.open(tmp_path / "0.png")
    assert fault_of(caught.value) == OF_THE_FILE


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            failed(errno.EMFILE),
            ResourceError,
            r"Cannot read sample 3, '3.png': Too many open files\. .*ulimit -n 65536",
        ),
        (failed(errno.ENFILE), ResourceError, r"Too many open files in system\. .*All processes of this machine share"),
        (failed(errno.ENOMEM), ResourceError, r"Cannot allocate memory\. .*Use a smaller `memory_limit`"),
        (MemoryError("8 TiB."), MemoryError, r"'3.png': 8 TiB\. .*If only this file needs so much memory, check"),
        (MemoryError(), MemoryError, r"'3.png': MemoryError\. "),
    ],
)
def test_error_that_stops_a_run(error, kind, message):
    stopping = stopped_by(error, fault_of(error).exhausted, "sample 3, '3.png'")

    with pytest.raises(kind, match=message) as caught:
        raise stopping
    assert isinstance(caught.value, OutOfCoreError) == (kind is ResourceError)
    assert str(pickle.loads(pickle.dumps(stopping))) == str(stopping)


def test_sample_error_keeps_what_it_proves():
    error = SampleError.of(3, "3.png", "file not found", proven=False)
    for same in (error, pickle.loads(pickle.dumps(error)), error.raised(), pickle.loads(pickle.dumps(error.raised()))):
        assert (same.reason, same.proven) == ("file not found", False)
    assert "The file may be intact" in str(error.raised())
    assert str(SampleError.of(3, "3.png", "empty file").raised()) == (
        'Cannot read sample 3, \'3.png\': empty file. Fix or remove it, or pass on_error="skip" or "replace".'
    )


def test_retried_ends_after_retries(monkeypatch):
    pauses, calls = [], []
    monkeypatch.setattr(faults, "pause", pauses.append)

    def read(path):
        calls.append(path)
        raise failed(errno.EIO)

    for retries in (0, 1, 4):
        calls.clear(), pauses.clear()
        with pytest.raises(OSError, match="Input/output error"):
            retried(read, "3.png", retries=retries)
        assert (calls, pauses) == (["3.png"] * (retries + 1), list(range(1, retries + 1)))


def test_retried_does_not_try_other_errors_again():
    calls = []

    def read():
        calls.append(1)
        raise failed(errno.ENOENT)

    with pytest.raises(FileNotFoundError):
        retried(read)
    assert calls == [1]


def test_pauses_are_short(monkeypatch):
    seconds = []
    monkeypatch.setattr(faults.time, "sleep", seconds.append)
    for attempt in range(1, 6):
        pause(attempt)

    assert seconds == pytest.approx([0.1, 0.3, 0.5, 0.5, 0.5])
