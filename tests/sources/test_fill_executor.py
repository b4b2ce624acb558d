"""pack(executor=): tasks write the rows in place, and the store has the bytes of one that threads filled."""

import hashlib
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import inside_sequence as inside
import numpy as np
import pytest
from drawing import SIZE, draw, numbers_in
from executors import HostileExecutor
from forked_child import forked_child
from interrupts import sigint_raises
from PIL import Image

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, DataError, OptionError, ResourceError, SampleError
from keras_oocore.core.locks import write_lock
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.store_task import write_rows
from keras_oocore.store import synced
from keras_oocore.store.format import StoreRecord
from keras_oocore.store.writer import PackedStoreWriter

NUM_SAMPLES = 100


@pytest.fixture
def photos(tmp_path):
    """Image i shows the number i % 25. The name of one is not ASCII."""
    for number in range(NUM_SAMPLES):
        draw(tmp_path / "phötos" / f"{number:02}{'ü 日' * (number == 7)}.png", number % 25)
    return tmp_path / "phötos"


def opened(photos, **options):
    options = {"labels": None, "image_size": SIZE, "shuffle": False, "batch_size": NUM_SAMPLES, **options}
    return ko.ImageFolderSequence(photos, **options)


def contents(directory):
    """SHA-256 of all files of a store."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(directory).iterdir()}


def new_processes(number=2):
    return ProcessPoolExecutor(number, multiprocessing.get_context("spawn"))


def damage(photos):
    (photos / "31.png").write_bytes(b"not an image")
    (photos / "64.png").write_bytes(b"")


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 6))])
def test_killed_repeated_late_and_reordered_tasks_leave_the_bytes_of_threads(photos, tmp_path, seed):
    damage(photos)
    threads = opened(photos, on_error="skip")
    threads.pack(tmp_path / "threads")
    sequence = opened(photos, on_error="skip")
    with HostileExecutor(seed) as executor:
        sequence.pack(tmp_path / "tasks", executor=executor)

    assert executor.num_lost
    assert executor.late
    assert contents(tmp_path / "tasks") == contents(tmp_path / "threads")
    assert sequence.bad_samples == threads.bad_samples
    assert [Path(path).name for path, _ in sequence.bad_samples] == ["31.png", "64.png"]


class KillingOnce:
    """A reader that kills its process at the first file with this name, once."""

    def __init__(self, reader, name, marker):
        self.shape, self.dtype, self.options = reader.shape, reader.dtype, reader.options
        self.reader, self.name, self.marker = reader, name, marker

    def read_into(self, path, out):
        if Path(path).name == self.name and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        self.reader.read_into(path, out)


def test_worker_processes_leave_the_bytes_of_threads(photos, tmp_path):
    damage(photos)
    opened(photos, on_error="skip").pack(tmp_path / "threads")
    with new_processes() as executor:
        opened(photos, on_error="skip").pack(tmp_path / "tasks", executor=executor)
        assert not executor.submit(imported, ("keras", "torch", "jax", "tensorflow")).result()

    assert contents(tmp_path / "tasks") == contents(tmp_path / "threads")


def imported(names):
    return [name for name in names if name in sys.modules]


def test_a_killed_worker_of_an_executor_is_an_error_and_another_call_continues(photos, tmp_path):
    without, sequence = opened(photos), opened(photos)
    for name, one in (("no file", without), ("70.png", sequence)):
        samples = inside.samples(one)
        samples.reader = KillingOnce(samples.reader, name, tmp_path / "killed")
    without.pack(tmp_path / "threads")
    with (
        new_processes(1) as executor,
        pytest.raises(ResourceError, match=r"lost a worker.*call `pack` again with a new"),
    ):
        sequence.pack(tmp_path / "tasks", executor=executor)
    with ThreadPoolExecutor(1) as executor:
        sequence.pack(tmp_path / "tasks", executor=executor)

    assert contents(tmp_path / "tasks") == contents(tmp_path / "threads")


def test_rows_that_are_stored_are_not_read_again(photos, tmp_path):
    store = tmp_path / "tasks"
    (photos / "50.png").rename(tmp_path / "50.png")
    (photos / "50.png").write_bytes(b"not an image")
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(SampleError, match=r"Cannot read sample 50, .*50.png.* Fix or"),
    ):
        opened(photos).pack(store, executor=executor)
    (tmp_path / "50.png").rename(photos / "50.png")
    with HostileExecutor(ways=["run"]) as executor:
        opened(photos).pack(store, executor=executor)

    assert 0 < len(executor.sizes) <= NUM_SAMPLES // 2
    assert numbers_in(ko.open_packed(store, shuffle=False, batch_size=NUM_SAMPLES)[0]) == [
        number % 25 for number in range(NUM_SAMPLES)
    ]


def pack_until_killed(photos, directory):
    """Pack in a process that is killed after 20 tasks."""
    add_written, written = Cached.add_written, []

    def killing(samples, rows):
        add_written(samples, rows)
        written.append(rows)
        if len(written) == 20:
            os.kill(os.getpid(), signal.SIGKILL)

    Cached.add_written, synced.SYNC_SECONDS = killing, 0.0
    with ThreadPoolExecutor(2) as executor:
        opened(photos).pack(directory, executor=executor)


def test_a_coordinator_that_is_killed_leaves_a_store_that_continues(photos, tmp_path):
    opened(photos).pack(tmp_path / "threads")
    with forked_child(pack_until_killed, photos, tmp_path / "tasks") as child:
        assert child.finish()[0] == -signal.SIGKILL
    with HostileExecutor(ways=["run"]) as executor:
        opened(photos).pack(tmp_path / "tasks", executor=executor)

    assert contents(tmp_path / "tasks") == contents(tmp_path / "threads")


def test_a_file_that_changes_while_it_is_read_is_named(photos, tmp_path):
    sequence = opened(photos)
    samples = inside.samples(sequence)
    samples.reader = Growing(samples.reader, "40.png")
    with HostileExecutor(ways=["run"]) as executor, pytest.raises(DataError, match=r"1 files changed .*40.png"):
        sequence.pack(tmp_path / "packed", executor=executor)
    with HostileExecutor(ways=["run"]) as executor:
        opened(photos).pack(tmp_path / "packed", executor=executor)
    assert len(executor.sizes) == 1
    ko.open_packed(tmp_path / "packed").verify()


class Growing:
    """A reader that changes the file with this name after it was read."""

    def __init__(self, reader, name):
        self.shape, self.dtype, self.options = reader.shape, reader.dtype, reader.options
        self.reader, self.name = reader, name

    def read_into(self, path, out):
        self.reader.read_into(path, out)
        if Path(path).name == self.name:
            with open(path, "ab") as file:
                file.write(b" ")


class Zombies(HostileExecutor):
    """Lets a task that read a file before it changed write after another one that read it later."""

    def __init__(self, change):
        self.change = change
        super().__init__(ways=["run"])

    def run(self, future, pickled, way):
        function, (source, rows, directory, record) = pickle.loads(pickled)
        if 40 in rows:
            before = Path(directory).parent / "before"
            shutil.copytree(directory, before)
            function(source, rows, before, record)  # the bytes of the zombie
            self.change()
            super().run(future, pickled, way)
            for name in ("x", "source"):
                written = np.lib.format.open_memmap(Path(directory) / f"{name}.npy")
                written[rows] = np.load(before / f"{name}.npy")[rows]
                written.flush()
        else:
            super().run(future, pickled, way)


def test_the_late_write_of_a_task_that_read_another_version_of_a_file_is_found(photos, tmp_path):
    executor = Zombies(lambda: draw(photos / "40.png", 3, mode="L"))
    with executor, pytest.raises(DataError, match=r"files changed while they were read: .*40.png.* Call `pack` again"):
        opened(photos).pack(tmp_path / "packed", executor=executor)
    with HostileExecutor(ways=["run"]) as again:
        opened(photos).pack(tmp_path / "packed", executor=again)

    assert len(again.sizes) == 1
    assert numbers_in(ko.open_packed(tmp_path / "packed", shuffle=False, batch_size=NUM_SAMPLES)[0])[40] == 3


def test_a_task_of_another_store_does_not_write(photos, tmp_path):
    samples, rows = inside.samples(opened(photos)), np.arange(3)
    fields = {"x": ((*SIZE, 3), "uint8"), "source": ((2,), "int64")}
    with PackedStoreWriter(tmp_path / "packed", fields, NUM_SAMPLES, {"files": "others"}) as writer:
        expected = StoreRecord(NUM_SAMPLES, writer.record.fields, {"files": "these"})
        with pytest.raises(DataError, match="stores other rows"):
            write_rows(samples.part(rows), rows, tmp_path / "packed", expected)
    assert not np.load(tmp_path / "packed" / "x.npy").any()


def test_a_task_does_not_grow_with_the_number_of_files(tmp_path):
    sizes = []
    for number in (1000, 50_000):
        names = [f"{i:08}.png" for i in range(number)]
        manifest = ko.Manifest.from_arrays(names, np.arange(number) % 7, directory=tmp_path)
        draw(tmp_path / names[0], 1)
        rows = np.arange(10)
        sizes.append(len(pickle.dumps(inside.samples(ko.ImageFolderSequence(manifest)).part(rows))))
    assert sizes[0] == sizes[1] < 3000


def test_one_sample_and_no_missing_sample(tmp_path):
    draw(tmp_path / "photos" / "a.png", 1)
    for _ in range(2):
        with HostileExecutor(ways=["run"]) as executor:
            opened(tmp_path / "photos", batch_size=1).pack(tmp_path / "packed", executor=executor)
    assert executor.sizes == []
    assert numbers_in(ko.open_packed(tmp_path / "packed")[0]) == [1]


def test_the_cache_of_a_sequence_is_filled(photos, tmp_path):
    sequence = opened(photos, cache=tmp_path / "cache")
    with HostileExecutor(ways=["run"]) as executor:
        sequence.pack(tmp_path / "cache", executor=executor)
    shutil.rmtree(photos)
    assert numbers_in(sequence[0]) == [number % 25 for number in range(NUM_SAMPLES)]


def test_arrays_in_a_relative_directory_are_packed(in_tmp_path):
    (in_tmp_path / "arrays").mkdir()
    for number in range(5):
        np.save(in_tmp_path / "arrays" / f"{number}.npy", np.full((2, 3), number, "float32"))
    sequence = ko.NpyManifestSequence("arrays", labels=None, batch_size=5, shuffle=False)
    os.chdir("/")
    with new_processes(1) as executor:
        sequence.pack(in_tmp_path / "packed", executor=executor)
    assert ko.open_packed(in_tmp_path / "packed", shuffle=False)[0][:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_ctrl_c_cancels_what_has_not_begun_and_another_call_continues(photos, tmp_path):
    futures, interrupted, main = [], [], threading.main_thread().ident

    class Interrupted(HostileExecutor):
        def submit(self, *call):
            futures.append(super().submit(*call))
            return futures[-1]

        def run(self, future, *call):
            super().run(future, *call)
            if not interrupted and sum(future.done() for future in futures) >= 10:  # 9, 11 is possible
                interrupted.append(True)
                signal.pthread_kill(main, signal.SIGINT)
                give_up = time.monotonic() + 60
                while not any(future.cancelled() for future in futures) and time.monotonic() < give_up:
                    time.sleep(0.01)  # otherwise all tasks are done before the main thread runs

    with sigint_raises(), Interrupted(ways=["run"]) as executor, pytest.raises(KeyboardInterrupt):
        opened(photos).pack(tmp_path / "packed", executor=executor)
    assert all(future.done() for future in futures)
    assert any(future.cancelled() for future in futures)
    with HostileExecutor(ways=["run"]) as executor:
        opened(photos).pack(tmp_path / "packed", executor=executor)
    assert len(executor.sizes) < len(futures)


def test_a_missing_file_is_not_remembered(photos, tmp_path):
    sequence = opened(photos, on_error="skip")
    (photos / "31.png").rename(tmp_path / "31.png")
    with HostileExecutor(ways=["run"]) as executor:
        with pytest.raises(SampleError, match=r"1 of 100 samples are not stored.*31.png.*file not found"):
            sequence.pack(tmp_path / "packed", executor=executor)
        (tmp_path / "31.png").rename(photos / "31.png")
        sequence.pack(tmp_path / "packed", executor=executor)
    ko.open_packed(tmp_path / "packed").verify()


def test_a_warning_of_workers_is_shown_once(tmp_path):
    for number in range(4):
        Image.fromarray(np.full((4, 5), 1000 * number, np.uint16)).save(tmp_path / f"{number}.png")
    with HostileExecutor(ways=["run"]) as executor, warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        opened(tmp_path, batch_size=1).pack(tmp_path / "packed", executor=executor)
    assert len(executor.sizes) == 4
    assert len([warning for warning in shown if "more than 8 bits per channel" in str(warning.message)]) == 1


def test_a_function_that_cannot_be_pickled_is_explained(photos, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    sequence = ko.NpyManifestSequence(
        [str(tmp_path / "a.npy")], labels=None, reader=lambda path: np.load(path), batch_size=1
    )
    with new_processes(1) as executor, pytest.raises(OptionError, match="a function at the top of a module"):
        sequence.pack(tmp_path / "packed", executor=executor)


@pytest.mark.parametrize("executor", [ProcessPoolExecutor, 8, "processes"])
def test_what_is_not_an_executor_is_refused(photos, tmp_path, executor):
    with pytest.raises(OptionError, match="`executor` should be a concurrent"):
        opened(photos).pack(tmp_path / "packed", executor=executor)
    assert not (tmp_path / "packed").exists()


def test_an_executor_that_was_shut_down_is_refused(photos, tmp_path):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(OptionError, match="must not be shut down"):
        opened(photos).pack(tmp_path / "packed", executor=executor)


def test_another_writer_is_an_error(photos, tmp_path):
    with ThreadPoolExecutor(1) as executor, write_lock(tmp_path / "packed"), pytest.raises(BusyError):
        opened(photos).pack(tmp_path / "packed", executor=executor)
