"""Ctrl-C while a Sequence is read: the next loop serves each sample once, whatever its kind."""

import random
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawing import draw
from interrupts import (
    InterruptAtLine,
    assert_no_thread_is_left,
    came_after,
    in_another_thread,
    interrupts_in_finalizers_are_ignored,
)
from pyarrow import feather

import keras_oocore as ko
from keras_oocore.batches import loader as batch_loader

NUM_SAMPLES = 14
OPTIONS = dict(batch_size=3, seed=3, max_queue_size=2)


@pytest.fixture(autouse=True)
def short_idle_time(monkeypatch):
    """A thread that is not woken, because Ctrl-C came first, ends soon."""
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.05)
    with interrupts_in_finalizers_are_ignored():
        yield


def images(folder, **options):
    if not (folder / "images").exists():
        for number in range(NUM_SAMPLES):
            draw(folder / "images" / "ab"[number % 2] / f"{number}.png", number)
    return ko.ImageFolderSequence(folder / "images", image_size=(4, 4), **OPTIONS, **options)


def cached_images(folder, **options):
    folder.mkdir(exist_ok=True)
    return images(folder, cache=folder / f"cache {time.monotonic_ns()}", **options)


def packed(folder, **options):
    if not (folder / "packed").exists():
        images(folder).pack(folder / "packed")
    return ko.open_packed(folder / "packed", **OPTIONS, **options)


def arrays(folder, **options):
    return ko.ArraySequence(np.arange(NUM_SAMPLES) * 10.0, labels=None, **OPTIONS, **options)


def npy(folder, **options):
    if not (folder / "0.npy").exists():
        for number in range(NUM_SAMPLES):
            np.save(folder / f"{number}.npy", np.array([number * 10.0]))
    names = [f"{number}.npy" for number in range(NUM_SAMPLES)]
    return ko.NpyManifestSequence(names, labels=None, directory=folder, **OPTIONS, **options)


def csv(folder, **options):
    path = folder / "rows.csv"
    if not path.exists():
        path.write_text("number,price\n" + "".join(f"{10 * number},{number}\n" for number in range(NUM_SAMPLES)))
    return ko.CSVChunkSequence(path, target="price", **OPTIONS, **options)


def cached_csv(folder, **options):
    return csv(folder, cache=folder / f"cache {time.monotonic_ns()}", **options)


def typed(folder, write, name):
    """A Sequence of a file of two columns in small groups of rows, of which few are kept."""
    numbers = np.arange(float(NUM_SAMPLES))
    if not (folder / name).exists():
        write(pa.table({"number": 10 * numbers, "price": numbers}), folder / name)
    return folder / name


def parquet(folder, **options):
    path = typed(folder, lambda table, path: pq.write_table(table, path, row_group_size=4), "rows.parquet")
    return ko.TableSequence(path, target="price", **OPTIONS, **options)


def feathers(folder, **options):
    path = typed(folder, lambda table, path: feather.write_feather(table, path, chunksize=4), "rows.feather")
    return ko.TableSequence(path, target="price", **OPTIONS, **options)


KINDS = [images, cached_images, packed, arrays, npy, csv, cached_csv]
FURTHER_KINDS = [pytest.param(kind, marks=pytest.mark.soak) for kind in (parquet, feathers)]


def served(sequence):
    """The samples of a loop, in ascending order."""
    given = [batch[0] if isinstance(batch, tuple) else batch for batch in sequence]
    return sorted(round(float(np.ravel(x)[0]) / 10) for batch in given for x in batch)


def check(sequence):
    """A loop after Ctrl-C serves each sample once, and no thread or lock is left."""
    assert in_another_thread(lambda: served(sequence)) == list(range(NUM_SAMPLES))
    assert in_another_thread(lambda: served(sequence)) == list(range(NUM_SAMPLES))
    in_another_thread(sequence.close)
    assert_no_thread_is_left()


def read_a_little(sequence):
    stream = iter(sequence)
    next(stream)
    next(stream)
    sequence.load_batch(1)
    stream.close()
    sequence.release()


def interrupt_in_lines(kind, folder, workers, lines):
    for number in lines:
        sequence = kind(folder, workers=workers)
        with InterruptAtLine(number) as interrupt:
            read_a_little(sequence)
        check(sequence)
        if not interrupt.came:
            return number
    return None


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", [*KINDS, *FURTHER_KINDS])
def test_ctrl_c_in_some_lines(kind, tmp_path, workers):
    interrupt_in_lines(kind, tmp_path, workers, range(random.randrange(1, 80), 400, 80))


@pytest.mark.soak
@pytest.mark.timeout(7200)  # a new Sequence per line, and thousands of lines where a cache is written
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", [*KINDS, *FURTHER_KINDS])
def test_ctrl_c_in_every_line(kind, tmp_path, workers):
    assert interrupt_in_lines(kind, tmp_path, workers, range(1, 10**6)) > 100


def random_interrupts(kind, folder, count):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, num_came = random.Random(seed), 0
    first = kind(folder)
    started = time.perf_counter()
    read_a_little(first)
    seconds = time.perf_counter() - started
    for _ in range(count):
        sequence = kind(folder, workers=chance.choice([0, 1, 2]))
        for _ in range(chance.choice([1, 2])):
            came = came_after(chance.uniform(1e-6, seconds), lambda: read_a_little(sequence))  # noqa: B023
            seconds = max(1e-4, seconds * (1.3 if came else 0.7))
            num_came += came
        check(sequence)
    assert num_came > count / 5 or count < 100


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_at_random_moments(kind, tmp_path):
    random_interrupts(kind, tmp_path, 3)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_at_many_random_moments(kind, tmp_path):
    random_interrupts(kind, tmp_path, 150)
