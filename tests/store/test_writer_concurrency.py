"""Writers among threads, forked children and processes, and disks that fail."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from packed_rows import (
    FIELDS,
    NUM_ROWS,
    TIMEOUT_SECONDS,
    example_rows,
    finished,
    is_free,
    names,
    python,
    read,
    write,
    writer_of,
)

from keras_oocore.core.errors import BusyError, DataError, DestinationError, OutOfCoreError
from keras_oocore.store import field_files, synced
from keras_oocore.store import writer as packed_writer
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import shared_writer

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


# --- one writer at a time ---------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused(tmp_path):
    with writer_of(tmp_path):
        with pytest.raises(BusyError, match="of this process is writing"):
            writer_of(tmp_path)
        with pytest.raises(BusyError):
            writer_of(tmp_path, overwrite=True)
        assert not is_free(tmp_path)
    assert is_free(tmp_path)


def test_shared_writer(tmp_path):
    arguments = (tmp_path, FIELDS, NUM_ROWS, {"size": [2, 3]})
    writer = shared_writer(*arguments)
    assert shared_writer(*arguments) is writer
    (tmp_path / "a").mkdir()
    assert shared_writer(tmp_path / "a" / "..", *arguments[1:]) is writer
    with pytest.raises(DataError, match="stores other rows"):
        shared_writer(tmp_path, FIELDS, NUM_ROWS, {"size": [4, 3]})
    writer.close()
    again = shared_writer(*arguments)
    assert again is not writer
    replaced = shared_writer(*arguments, overwrite=True)
    assert (again.writable, replaced.writable) == (False, True)
    replaced.close()


def test_deleting_a_writer_closes_it(tmp_path):
    writer = writer_of(tmp_path)
    write(writer, [4])
    del writer
    gc.collect()
    with writer_of(tmp_path) as writer:
        assert np.flatnonzero(writer.states).tolist() == [4]


def test_a_constructor_that_fails_releases_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_writer, "load_states", lambda *_: (_ for _ in ()).throw(DataError("damaged")))
    with pytest.raises(DataError):
        writer_of(tmp_path)
    monkeypatch.undo()
    assert is_free(tmp_path)
    writer_of(tmp_path).close()


def test_leftovers_of_a_kill_are_removed(tmp_path):
    finished(tmp_path)
    for name in (".keras_oocore-0123456789abcdef", ".keras_oocore-mine", ".hidden", "filenames.npy"):
        (tmp_path / name).touch()
    writer_of(tmp_path).close()
    left = {path.name for path in tmp_path.iterdir()}
    assert ".keras_oocore-0123456789abcdef" not in left
    assert left >= {".keras_oocore-mine", ".hidden", "filenames.npy"}


@needs_fork
def test_a_forked_child_neither_writes_nor_unlocks(tmp_path):
    code = """if True:
        import os, subprocess, sys
        import numpy as np
        from keras_oocore.core.errors import BusyError, OutOfCoreError
        from keras_oocore.store.writer import PackedStoreWriter, shared_writer
        arguments = sys.argv[1], {"y": ((), "int64")}, 3, {}

        def look():
            elsewhere = "import sys; from keras_oocore.core import locks\\nwith locks.write_lock(sys.argv[1]): pass"
            return subprocess.run([sys.executable, "-c", elsewhere, sys.argv[1]], stderr=subprocess.DEVNULL).returncode

        writer = PackedStoreWriter(*arguments)
        writer.write(np.array([0, 1]), {"y": np.array([10, 11])})
        before = open(sys.argv[1] + "/rows.npy", "rb").read()
        if not os.fork():
            for call in (
                lambda: writer.write(np.array([2]), {"y": np.array([666])}),
                lambda: writer.mark_unreadable(np.array([2]), "gone", {}),
                lambda: writer.forget(np.array([0])),
                writer.finish,
            ):
                try:
                    call()
                    os._exit(1)
                except OutOfCoreError as error:
                    assert "closed" in str(error)
            try:
                shared_writer(*arguments)
                os._exit(2)
            except BusyError:
                pass
            writer.sync()
            writer.close()
            del writer
            sys.exit(3)  # the functions of atexit run in the child too
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
        assert open(sys.argv[1] + "/rows.npy", "rb").read() == before
        assert look() != 0, "the child released the lock of its parent"
        writer.write(np.array([2]), {"y": np.array([12])})
        writer.finish().verify()
        assert look() == 0
        print(np.load(sys.argv[1] + "/y.npy").tolist())
    """
    assert python(code, tmp_path) == "[10, 11, 12]"


@needs_fork
def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path):
    code = """if True:
        import os, sys
        from keras_oocore.store.writer import PackedStoreWriter
        writer = PackedStoreWriter(sys.argv[1], {"y": ((), "int64")}, 3, {})
        if not os.fork():
            print("forked", flush=True)
            sys.stdin.read()  # until the test ends
            os._exit(0)
        os.wait()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "forked\n"
        child.kill()
        child.wait(TIMEOUT_SECONDS)
        assert is_free(tmp_path)


@needs_fork
def test_a_fork_during_a_write_does_not_hang_the_child(tmp_path):
    writer = writer_of(tmp_path)
    with writer._changed, writer._syncing:
        pid = os.fork()
        if not pid:
            code = 1
            signal.alarm(300)  # ends a child that hangs
            try:
                writer.sync()
                writer.close()
                write(writer, [0])
            except OutOfCoreError:
                code = 0
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    writer.close()


# --- a disk that fails ------------------------------------------------------------------------------------------------


def failing(*_):
    raise DestinationError("Cannot write: Input/output error.")


@pytest.mark.parametrize(("module", "step"), [(field_files, "sync_data"), (synced, "write_at")])
def test_rows_never_count_after_a_failed_sync(tmp_path, monkeypatch, module, step):
    """After an error, the system treats the lost data as written, and a second sync succeeds."""
    writer = writer_of(tmp_path)
    write(writer, [0])
    writer.sync()
    write(writer, range(1, NUM_ROWS))
    monkeypatch.setattr(module, step, failing)
    with pytest.raises(DestinationError):
        writer.sync()
    monkeypatch.undo()
    for call in (writer.sync, writer.finish, lambda: write(writer, [1]), writer.close):
        with pytest.raises(DestinationError):
            call()
    with pytest.raises(DataError, match="unfinished"):
        PackedStore(tmp_path)
    with writer_of(tmp_path) as writer:
        assert np.flatnonzero(writer.states).tolist() == [0]
        write(writer, range(NUM_ROWS))
        writer.finish().verify()


def test_the_next_write_raises_the_error_of_a_background_sync(tmp_path, monkeypatch):
    monkeypatch.setattr(synced, "SYNC_SECONDS", -1.0)  # at every write
    monkeypatch.setattr(field_files, "sync_data", failing)
    writer = writer_of(tmp_path)
    write(writer, [0])
    while writer._error is None:  # until a thread has synced
        time.sleep(0.001)
    with pytest.raises(DestinationError, match="Input/output error"):
        write(writer, [1])
    del writer  # no error, although its rows are lost
    gc.collect()
    assert is_free(tmp_path)


def test_an_interrupted_sync_is_repeated(tmp_path, monkeypatch):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([0]), "gone", {})
    write(writer, range(1, NUM_ROWS))
    monkeypatch.setattr(field_files, "sync_data", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        writer.sync()
    monkeypatch.undo()
    store = writer.finish()
    assert store.states.tolist() == [2] + [1] * 11
    assert store.unreadable == {0: "gone"}


def test_a_row_that_could_not_be_written_is_written_later(tmp_path, monkeypatch):
    with writer_of(tmp_path) as writer:
        monkeypatch.setattr(field_files, "write_at", failing)
        with pytest.raises(DestinationError):
            write(writer, [4, 5])
        assert writer.num_missing == NUM_ROWS
        monkeypatch.undo()
        write(writer, range(NUM_ROWS))
        np.testing.assert_array_equal(read(writer, "x", [4]), example_rows()["x"][[4]])


def test_data_is_synced_before_reasons_and_reasons_before_states(tmp_path, monkeypatch):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([3]), "gone", {})
    write(writer, [0])
    steps = []

    def noting(name, function):
        def noted(file, *arguments):
            steps.append((name, Path(getattr(file, "name", file)).name))
            return function(file, *arguments)

        return noted

    monkeypatch.setattr(field_files, "sync_data", noting("sync", field_files.sync_data))
    monkeypatch.setattr(synced, "write_at", noting("write", synced.write_at))
    really_save = packed_writer.StoreRecord.save
    monkeypatch.setattr(
        packed_writer.StoreRecord, "save", lambda *a: (steps.append(("save", "store.json")), really_save(*a))[1]
    )
    writer.sync()
    assert steps == [("sync", "x.npy"), ("sync", "y.npy"), ("save", "store.json"), ("write", "rows.npy")]
    writer.close()


# --- several threads --------------------------------------------------------------------------------------------------


def test_two_threads_write_the_same_row_once(tmp_path, monkeypatch):
    """The second thread starts while the first one is between the two fields; a row never mixes both."""
    writer = writer_of(tmp_path)
    other = {name: values + 100 for name, values in example_rows().items()}
    really_write = field_files.write_at

    def interrupted(file, data, offset):
        really_write(file, data, offset)
        if Path(file.name).name == "x.npy" and not late:
            late.append(threading.Thread(target=write, args=(writer, [3], other)))
            late[0].start()
            late[0].join(TIMEOUT_SECONDS)

    late = []
    monkeypatch.setattr(field_files, "write_at", interrupted)
    write(writer, [3])
    assert len(late) == 1
    np.testing.assert_array_equal(read(writer, "x", [3]), example_rows()["x"][[3]])
    assert read(writer, "y", [3]).tolist() == [3]
    writer.close()


def test_close_waits_for_rows_in_progress(tmp_path, monkeypatch):
    writer, started, proceed = writer_of(tmp_path), threading.Event(), threading.Event()
    write(writer, range(11))
    really_write = field_files.write_at

    def waiting(*arguments):
        if threading.current_thread() is writing:
            started.set()
            proceed.wait(TIMEOUT_SECONDS)
        really_write(*arguments)

    monkeypatch.setattr(field_files, "write_at", waiting)
    writing = threading.Thread(target=write, args=(writer, [11]))
    writing.start()
    assert started.wait(TIMEOUT_SECONDS)
    closing = threading.Thread(target=writer.close)
    closing.start()
    while writer.writable:
        pass
    with pytest.raises(OutOfCoreError, match="closed"):
        write(writer, [11])
    assert closing.is_alive()
    proceed.set()
    for thread in (writing, closing):
        thread.join(TIMEOUT_SECONDS)
    writer_of(tmp_path).finish().verify()


def test_several_threads_may_finish(tmp_path):
    writer, stores = writer_of(tmp_path), []
    write(writer, range(NUM_ROWS))
    threads = [threading.Thread(target=lambda: stores.append(writer.finish())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert [store.states.tolist() for store in stores] == [[1] * NUM_ROWS] * 4
    assert names(tmp_path) == ["checksums.npy", "rows.npy", "store.json", "x.npy", "y.npy"]


def test_overwriting_waits_for_finish(tmp_path, monkeypatch):
    """Otherwise, the files of the next writer could get the record of this one."""
    writer, started, proceed = writer_of(tmp_path), threading.Event(), threading.Event()
    write(writer, range(NUM_ROWS))
    really_save = packed_writer.save_array

    def waiting(*arguments):
        started.set()
        proceed.wait(TIMEOUT_SECONDS)
        return really_save(*arguments)

    monkeypatch.setattr(packed_writer, "save_array", waiting)
    finishing = threading.Thread(target=writer.finish)
    finishing.start()
    assert started.wait(TIMEOUT_SECONDS)
    overwriting = threading.Thread(
        target=lambda: shared_writer(tmp_path, FIELDS, NUM_ROWS, {"size": "other"}, overwrite=True).close()
    )
    overwriting.start()
    assert not is_free(tmp_path)
    assert json.loads((tmp_path / "store.json").read_text())["fingerprint"] == {"size": [2, 3]}
    proceed.set()
    finishing.join(TIMEOUT_SECONDS)
    overwriting.join(TIMEOUT_SECONDS)
    record = json.loads((tmp_path / "store.json").read_text())
    assert (record["fingerprint"], record["state"]) == ({"size": "other"}, "filling")
    assert np.load(tmp_path / "rows.npy").tolist() == [0] * NUM_ROWS
