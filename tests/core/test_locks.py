"""One writer at a time: among objects, threads, forked children and processes, and after a kill."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import filelock
import pytest

from keras_oocore.core.errors import BusyError, DestinationError
from keras_oocore.core.locks import LOCK_NAME, write_lock

TIMEOUT_SECONDS = 300
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and fork")


def child(code, *arguments):
    """A child process that a timer ends in any case."""
    code = f"""if True:
        import os, signal, sys, time
        from keras_oocore.core.errors import BusyError
        from keras_oocore.core.locks import write_lock
        signal.alarm({TIMEOUT_SECONDS})
{code}"""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def is_free(directory):
    try:
        with write_lock(directory):
            return True
    except BusyError:
        return False


def test_a_second_writer_of_the_same_process_is_refused(tmp_path):
    with write_lock(tmp_path / "new"):
        message = r"^An earlier Sequence or call of this process is writing '.*new'\. Wait"
        with pytest.raises(BusyError, match=message), write_lock(tmp_path / "new"):
            pass
        assert not is_free(tmp_path / "new")  # the refused one has not released the lock
        assert is_free(tmp_path / "other")
    assert is_free(tmp_path / "new")
    assert LOCK_NAME in os.listdir(tmp_path / "new")  # marks the folder as one of keras_oocore


def test_one_of_several_threads_gets_the_lock(tmp_path):
    refused, all_tried = [], threading.Barrier(4, timeout=TIMEOUT_SECONDS)

    def write():
        try:
            with write_lock(tmp_path):
                all_tried.wait()
        except BusyError as error:
            refused.append(error)
            all_tried.wait()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert len(refused) == 3


def test_another_thread_may_release_the_lock(tmp_path):
    lock = write_lock(tmp_path)
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    assert is_free(tmp_path)


@on_posix
def test_a_killed_process_releases_the_lock(tmp_path):
    code = """
        with write_lock(sys.argv[1]):
            print("locked", flush=True)
            time.sleep(300)
    """
    with child(code, tmp_path) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BusyError, match=r"^Another process is .* Wait for it to finish"), write_lock(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
    assert is_free(tmp_path)


@on_posix
def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    code = """
        with write_lock(sys.argv[1]):
            forked = os.fork()
            if not forked:
                time.sleep(300)
                os._exit(0)
        try:
            with write_lock(sys.argv[1]):
                print("locked again")
        finally:
            os.kill(forked, 9)
    """
    assert child(code, tmp_path).communicate(timeout=TIMEOUT_SECONDS)[0] == "locked again\n"


@on_posix
def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path):
    code = """
        with write_lock(sys.argv[1]):
            forked = os.fork()
            if not forked:
                print("forked", flush=True)  # here the child has closed the file of the lock
                sys.stdin.read()  # until the test ends
                os._exit(0)
            time.sleep(300)
    """
    with child(code, tmp_path) as process:
        assert process.stdout.readline() == "forked\n"
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT_SECONDS)
        assert is_free(tmp_path)


@on_posix
def test_a_forked_child_does_not_release_the_lock(tmp_path):
    code = """
        def ask():
            forked = os.fork()
            if not forked:
                try:
                    with write_lock(sys.argv[1]):
                        os._exit(1)
                except BusyError:
                    os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])

        with write_lock(sys.argv[1]):
            forked = os.fork()
            if forked:
                os.waitpid(forked, 0)
                print(ask(), flush=True)
    """
    assert child(code, tmp_path).communicate(timeout=TIMEOUT_SECONDS)[0] == "0\n"


@pytest.mark.skipif(sys.platform == "win32", reason="folders have other permissions")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(DestinationError, match=r"Permission denied.*you may write to"), write_lock(tmp_path):
            pass
    finally:
        tmp_path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_lock_file_that_cannot_be_opened(tmp_path, monkeypatch, code):
    """As in a read-only directory, for a user that may write everywhere."""
    really_open = os.open

    def refuse(path, *arguments, **options):
        if Path(os.fspath(path)).name == LOCK_NAME:
            raise OSError(code, os.strerror(code))
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    expected = pytest.raises(DestinationError, match="Choose a destination that you may write to")
    with expected as caught, write_lock(tmp_path):
        pass
    assert not isinstance(caught.value, BusyError)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows always has locks")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_an_error_and_not_a_soft_lock(tmp_path, monkeypatch, code):
    import fcntl

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DestinationError, match=os.strerror(code)) as caught, write_lock(tmp_path):
            pass
    assert not isinstance(caught.value, BusyError)


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"Cannot write '.*file'"), write_lock(tmp_path / "file"):
        pass


def test_the_lock_is_one_of_the_operating_system():
    assert issubclass(filelock.FileLock, filelock.BaseFileLock)
    assert not issubclass(filelock.FileLock, filelock.SoftFileLock)
