"""pack(): everything stored up front, in threads, with a bar; what was stopped goes on."""

import shutil
import threading

import inside_sequence as inside
import numpy as np
import pytest
from drawing import SIZE, draw, numbers_in

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, SampleError
from keras_oocore.core.locks import write_lock
from keras_oocore.sources import fill as pack

NUM_SAMPLES = 200


@pytest.fixture
def photos(tmp_path):
    """More than one thread's task of images; image i has the grey i modulo 25, times ten."""
    for number in range(NUM_SAMPLES):
        draw(tmp_path / "photos" / f"{number:03}.png", number % 25)
    return tmp_path / "photos"


def opened(photos, **options):
    options = {"labels": None, "image_size": SIZE, "shuffle": False, "batch_size": NUM_SAMPLES, **options}
    return ko.ImageFolderSequence(photos, **options)


def expected():
    return [number % 25 for number in range(NUM_SAMPLES)]


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_every_row_is_there_for_any_number_of_workers(photos, tmp_path, workers, capsys):
    directory = opened(photos, workers=workers).pack(tmp_path / "packed")

    assert numbers_in(ko.open_packed(directory, shuffle=False, batch_size=NUM_SAMPLES)[0]) == expected()
    shown = capsys.readouterr().err
    assert "packing 12.0 kB" in shown
    assert "200/200" in shown


def test_packing_again_reads_nothing(photos, tmp_path, monkeypatch):
    opened(photos).pack(tmp_path / "packed")
    sequence = opened(photos)
    monkeypatch.setattr(inside.samples(sequence), "read", None)

    assert sequence.pack(tmp_path / "packed") == tmp_path / "packed"


@pytest.mark.parametrize("workers", [1, 3])
def test_what_was_stopped_goes_on(photos, tmp_path, monkeypatch, workers):
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
    assert len(read) == 65 if workers == 1 else len(read) >= 65  # the other threads end the tasks they are at
    stopping.after = -1
    sequence.pack(tmp_path / "packed")

    assert len(set(read)) == NUM_SAMPLES
    assert len(read) <= NUM_SAMPLES + pack.TASK_ROWS  # the task that was interrupted, again
    assert numbers_in(ko.open_packed(tmp_path / "packed", shuffle=False, batch_size=NUM_SAMPLES)[0]) == expected()


def test_the_first_bad_file_ends_it_and_the_mended_one_goes_on(photos, tmp_path):
    (photos / "150.png").write_bytes(b"no picture")
    with pytest.raises(SampleError, match=r"Cannot read sample 150, .*150.png"):
        opened(photos).pack(tmp_path / "packed")
    draw(photos / "150.png", 0)
    sequence = opened(photos)
    sequence.pack(tmp_path / "packed")

    assert sequence.bad_samples == []
    assert numbers_in(ko.open_packed(tmp_path / "packed", shuffle=False, batch_size=NUM_SAMPLES)[0]) == expected()


def test_packing_again_still_tells_of_bad_files(photos, tmp_path):
    (photos / "150.png").write_bytes(b"no picture")
    for _ in range(2):
        sequence = opened(photos, on_error="skip")
        sequence.pack(tmp_path / "packed")
        assert [path for path, _ in sequence.bad_samples] == [str(photos / "150.png")]


def test_a_bad_file_is_reported_with_what_may_be_done(photos, tmp_path):
    (photos / "150.png").write_bytes(b"no picture")
    with pytest.raises(SampleError, match=r'150.png.* Fix or remove it, or pass on_error="skip" or "replace"'):
        opened(photos).pack(tmp_path / "packed")


def test_a_sequence_with_a_cache_packs_it(photos, tmp_path):
    sequence = opened(photos, cache=tmp_path / "cache", batch_size=50)
    sequence[0]
    assert sequence.pack(tmp_path / "cache") == tmp_path / "cache"
    shutil.rmtree(photos)

    assert numbers_in(np.concatenate([x for x in sequence])) == expected()
    assert "cache" in repr(sequence)
    assert "has 200 of them" in repr(sequence)


def test_a_sequence_with_a_cache_packs_elsewhere_too(photos, tmp_path):
    sequence = opened(photos, cache=tmp_path / "cache")
    sequence.pack(tmp_path / "packed")

    assert "has 0 of them" in repr(sequence)
    ko.open_packed(tmp_path / "packed").verify()


def test_overwrite_makes_other_rows(photos, tmp_path):
    opened(photos).pack(tmp_path / "packed")
    opened(photos, color_mode="grayscale").pack(tmp_path / "packed", overwrite_cache=True)

    assert ko.open_packed(tmp_path / "packed")[0].shape[1:] == (*SIZE, 1)


def test_one_packs_at_a_time(photos, tmp_path):
    with write_lock(tmp_path / "packed"), pytest.raises(BusyError, match="Another process is filling"):
        opened(photos).pack(tmp_path / "packed")


def test_no_thread_outlives_it(photos, tmp_path):
    before = set(threading.enumerate())
    opened(photos).pack(tmp_path / "packed")

    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile
