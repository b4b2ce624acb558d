"""pack(): all rows are stored in threads, with a progress bar, and a stopped call is resumed."""

import shutil
import threading

import inside_sequence as inside
import numpy as np
import pytest
from drawing import SIZE, draw, numbers_in
from tqdm import TMonitor

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, SampleError
from keras_oocore.core.locks import write_lock
from keras_oocore.sources import fill as pack

NUM_SAMPLES = 200


@pytest.fixture
def photos(tmp_path):
    """More images than one task of a thread. Image i shows the number i % 25."""
    for number in range(NUM_SAMPLES):
        draw(tmp_path / "photos" / f"{number:03}.png", number % 25)
    return tmp_path / "photos"


def opened(photos, **options):
    options = {"labels": None, "image_size": SIZE, "shuffle": False, "batch_size": NUM_SAMPLES, **options}
    return ko.ImageFolderSequence(photos, **options)


def expected():
    return [number % 25 for number in range(NUM_SAMPLES)]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_all_rows_are_stored_for_any_number_of_workers(photos, tmp_path, workers, capsys):
    directory = opened(photos, workers=workers).pack(tmp_path / "packed")

    assert numbers_in(ko.open_packed(directory, shuffle=False, batch_size=NUM_SAMPLES)[0]) == expected()
    shown = capsys.readouterr().err
    assert "packing 12.0 kB" in shown
    assert "200/200" in shown


def test_finished_store_is_not_filled_again(photos, tmp_path, monkeypatch):
    opened(photos).pack(tmp_path / "packed")
    sequence = opened(photos)
    monkeypatch.setattr(inside.samples(sequence), "read", None)

    assert sequence.pack(tmp_path / "packed") == tmp_path / "packed"


@pytest.mark.parametrize("workers", [1, 3])
def test_stopped_call_is_resumed(photos, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(pack, "TASK_ROWS", 10)
    sequence = opened(photos, workers=workers)
    reader, read = inside.samples(sequence).reader, []

    class Stopping:
        shape, dtype, options = reader.shape, reader.dtype, reader.options

        def __init__(self):
            self.after = 65

        def read_into(self, path, out):
            read.append(path)
            if len(read) == self.after:
                raise KeyboardInterrupt
            reader.read_into(path, out)

    inside.samples(sequence).reader = stopping = Stopping()
    with pytest.raises(KeyboardInterrupt):
        sequence.pack(tmp_path / "packed")
    assert len(read) == 65 if workers == 1 else len(read) >= 65  # the other threads finish their tasks
    stopping.after = -1
    sequence.pack(tmp_path / "packed")

    assert len(set(read)) == NUM_SAMPLES
    assert len(read) <= NUM_SAMPLES + pack.TASK_ROWS  # the interrupted task is repeated
    assert numbers_in(ko.open_packed(tmp_path / "packed", shuffle=False, batch_size=NUM_SAMPLES)[0]) == expected()


def test_unreadable_file_stops_packing_and_packing_resumes_after_it_is_fixed(photos, tmp_path):
    (photos / "150.png").write_bytes(b"not an image")
    with pytest.raises(SampleError, match=r"Cannot read sample 150, .*150.png"):
        opened(photos).pack(tmp_path / "packed")
    draw(photos / "150.png", 0)
    sequence = opened(photos)
    sequence.pack(tmp_path / "packed")

    assert sequence.bad_samples == []
    assert numbers_in(ko.open_packed(tmp_path / "packed", shuffle=False, batch_size=NUM_SAMPLES)[0]) == expected()


def test_bad_samples_of_an_earlier_call_are_reported_again(photos, tmp_path):
    (photos / "150.png").write_bytes(b"not an image")
    for _ in range(2):
        sequence = opened(photos, on_error="skip")
        sequence.pack(tmp_path / "packed")
        assert [path for path, _ in sequence.bad_samples] == [str(photos / "150.png")]


def test_error_of_an_unreadable_file_names_remedies(photos, tmp_path):
    (photos / "150.png").write_bytes(b"not an image")
    with pytest.raises(SampleError, match=r'150.png.* Fix or remove it, or pass on_error="skip" or "replace"'):
        opened(photos).pack(tmp_path / "packed")


def test_pack_into_the_cache_of_the_sequence_fills_it(photos, tmp_path):
    sequence = opened(photos, cache=tmp_path / "cache", batch_size=50)
    sequence[0]
    assert sequence.pack(tmp_path / "cache") == tmp_path / "cache"
    shutil.rmtree(photos)

    assert numbers_in(np.concatenate([x for x in sequence])) == expected()
    assert "cache" in repr(sequence)
    assert "contains 200 of them" in repr(sequence)


def test_pack_into_another_directory_leaves_the_cache_empty(photos, tmp_path):
    sequence = opened(photos, cache=tmp_path / "cache")
    sequence.pack(tmp_path / "packed")

    assert "contains 0 of them" in repr(sequence)
    ko.open_packed(tmp_path / "packed").verify()


def test_overwrite_cache_replaces_rows(photos, tmp_path):
    opened(photos).pack(tmp_path / "packed")
    opened(photos, color_mode="grayscale").pack(tmp_path / "packed", overwrite_cache=True)

    assert ko.open_packed(tmp_path / "packed")[0].shape[1:] == (*SIZE, 1)


def test_another_writer_that_fills_the_store_is_an_error(photos, tmp_path):
    with write_lock(tmp_path / "packed"), pytest.raises(BusyError, match="of this process is filling"):
        opened(photos).pack(tmp_path / "packed")


def test_no_thread_remains(photos, tmp_path):
    before = set(threading.enumerate())
    opened(photos).pack(tmp_path / "packed")

    remaining = set(threading.enumerate()) - before  # threads of other tests may end meanwhile
    assert [thread for thread in remaining if not isinstance(thread, TMonitor)] == []  # of the first progress bar
