"""profile(): what it measures, that nothing else changes, and its advice."""

import html
import itertools
import sys
import threading
import time
from time import thread_time
from types import SimpleNamespace

import inside_sequence as inside
import keras
import numpy as np
import pytest
from PIL import Image
from recording import idle_recorder, numbered, planned

from keras_oocore.batches.profile import STAGES, Profile, Settings
from keras_oocore.core import stopwatch
from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.sequences import ArraySequence, CSVChunkSequence, ImageFolderSequence, NpyManifestSequence


@pytest.fixture
def folder(tmp_path):
    """Eight images of two classes."""
    for number in range(8):
        path = tmp_path / "photos" / "ab"[number // 4] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (number, 0, 0)).save(path)
    return tmp_path / "photos"


def opened(folder, **options):
    return ImageFolderSequence(folder, **{"image_size": 4, "batch_size": 4, "seed": 0, **options})


def loader_threads():
    return {thread for thread in threading.enumerate() if thread.name == "keras_oocore-loader"}


class Ticks(threading.local):
    """A clock per thread that advances by one second whenever it is read."""

    now = 0

    def __call__(self):
        self.now += 1
        return self.now


# Measurements


@pytest.mark.parametrize("workers", [0, 2])
def test_stages_of_timed_batches(folder, workers, monkeypatch):
    monkeypatch.setattr(stopwatch, "perf_counter", Ticks())
    sequence = opened(folder, workers=workers, transform=lambda x, y, rng: (x, y))
    seconds = sequence.profile(num_batches=3).seconds_per_batch

    assert list(seconds) == ["reading", "decoding", "resizing", "transform", "assembling", "waiting"]
    assert (seconds["decoding"], seconds["resizing"], seconds["transform"]) == (4, 4, 1)
    assert seconds["reading"] == 3 * 4  # before, between and after the two stages within it
    assert seconds["assembling"] > 0


def test_reader_function_counts_as_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(stopwatch, "perf_counter", Ticks())
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", np.full(3, number))
    names = [f"{number}.npy" for number in range(4)]
    for reader in (None, np.load):
        sequence = NpyManifestSequence(names, None, directory=tmp_path, reader=reader, batch_size=2, workers=0)

        assert sequence.profile(num_batches=2).seconds_per_batch["reading"] == 2


def test_stages_that_only_some_sources_have_are_shown(folder, monkeypatch):
    monkeypatch.setattr(stopwatch, "perf_counter", Ticks())
    sequence = opened(folder, workers=0)
    samples = inside.samples(sequence)
    read = samples.read

    def read_and_store(numbers, out):
        with stopwatch.stage("storing"):
            return read(numbers, out)

    monkeypatch.setattr(samples, "read", read_and_store)
    profile = sequence.profile(num_batches=1)

    assert list(profile.seconds_per_batch) == [*STAGES, "storing", "waiting"]
    assert profile.seconds_per_batch["storing"] == 5  # before, between and after four files
    assert sum(profile.shares.values()) == pytest.approx(1)
    assert "  storing  " in str(profile)


def test_num_batches_may_extend_into_the_next_pass(folder):
    profile = opened(folder, workers=2).profile(num_batches=7)

    assert (profile.num_batches, profile.num_samples) == (7, 28)
    assert profile.seconds_per_batch["waiting"] == profile.seconds / 7
    assert profile.samples_per_second == 28 / profile.seconds
    assert sum(profile.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("num_batches", [0, -1, 2.5, True, "50", None])
def test_invalid_num_batches_is_an_error(num_batches):
    with pytest.raises(OptionError, match=r"`num_batches` should be a positive integer\. Received: num_batches="):
        numbered(8).profile(num_batches)


# Side effects


@pytest.mark.one_backend
@pytest.mark.parametrize("workers", [0, 2])
def test_profile_does_not_change_what_fit_trains_on(workers):
    sequence, model = numbered(10, workers=workers), idle_recorder()
    expected = planned(sequence, 0, 1, 2)
    sequence.profile(num_batches=4)
    profiling = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: sequence.profile(num_batches=1))
    model.fit(sequence, epochs=2, verbose=0, callbacks=[profiling])
    sequence.profile(num_batches=4)
    model.fit(sequence, epochs=1, verbose=0)

    assert [model.given[i : i + 10] for i in (0, 10, 20)] == [expected[i : i + 10] for i in (0, 10, 20)]


def test_profile_does_not_change_batches_by_index(folder):
    sequence, untouched = opened(folder), opened(folder)
    sequence.profile(num_batches=3)

    for index in (1, 0, 1):
        np.testing.assert_array_equal(sequence[index][0], untouched[index][0])
        assert sequence.filenames(index) == untouched.filenames(index)


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_stops_all_threads_and_the_sequence_still_works(folder, workers):
    calls = itertools.count()

    def interrupted(x, y, rng):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return x, y

    before = loader_threads()
    sequence = opened(folder, workers=workers, transform=interrupted)
    with pytest.raises(KeyboardInterrupt):
        sequence.profile(num_batches=50)

    assert loader_threads() <= before
    assert stopwatch.stage("decoding") is stopwatch.stage("reading")  # no stopwatch runs
    assert [len(x) for x, _ in sequence] == [4, 4]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("first", [True, False])
def test_batches_of_an_unreadable_file_are_not_counted(folder, workers, first, capsys):
    (folder / "b" / "5.png").write_bytes(b"not an image")
    sequence = opened(folder, workers=workers, shuffle=False)
    profile = sequence.profile(num_batches=3 if first else 4)  # after two of warm-up, which survive it, too

    assert (profile.num_batches, profile.num_samples) == (2, 8)
    assert len(profile.errors) == (1 if first else 2)
    assert "5.png" in profile.errors[0]
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("1 batch could not be made and is not counted: Cannot" if first else "2 batches could not")
    assert "Fix or remove it" in line
    assert sequence[0][0].shape == (4, 4, 4, 3)


def test_small_batches_that_are_made_together_fail_alone(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i}\n" for i in range(40)))

    def fails_once(x, y, rng):
        if 7 in y:
            raise SampleError("row 7 is bad")
        return x, y

    rows = CSVChunkSequence(path, "y", batch_size=4, shuffle=False, transform=fails_once, workers=2)
    profile = rows.profile(num_batches=10)

    assert (profile.num_batches, profile.num_samples, profile.errors) == (9, 36, ("row 7 is bad",))


def test_an_error_of_transform_ends_the_profile(folder):
    def wrong(x, y, rng):
        raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError, match="a mistake"):
        opened(folder, transform=wrong).profile(num_batches=3)


def test_only_unreadable_files_are_an_error(folder):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"not an image")
    with pytest.raises(SampleError, match=r"Cannot read sample .*Fix or remove it"):
        opened(folder).profile(num_batches=3)


def test_on_error_applies(folder):
    (folder / "b" / "5.png").write_bytes(b"not an image")
    skipping = opened(folder, on_error="skip")
    profile = skipping.profile(num_batches=3)

    assert (profile.num_batches, profile.errors) == (3, ())
    assert len(skipping.bad_samples) == 1


def test_a_reader_that_waits_uses_no_core(tmp_path):
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", np.full(3, number))

    def waits(path):
        time.sleep(0.02)
        return np.load(path)

    names = [f"{number}.npy" for number in range(4)]
    sequence = NpyManifestSequence(names, None, directory=tmp_path, reader=waits, batch_size=1, workers=2)
    profile = sequence.profile(num_batches=4)

    assert profile.waits_for_disk
    assert not profile.takes_turns
    assert profile.seconds_per_batch["reading"] >= 0.02
    assert profile.cpu_seconds_per_batch["reading"] < 0.015
    assert any("waiting for the disk. What helps: workers=" in words for words in profile.advice)


def test_a_reader_in_python_uses_one_core_for_all_threads(tmp_path):
    for number in range(8):
        np.save(tmp_path / f"{number}.npy", np.full(3, number))

    def computes(path):
        started = thread_time()
        while thread_time() - started < 0.02:
            pass
        return np.load(path)

    names = [f"{number}.npy" for number in range(8)]
    sequence = NpyManifestSequence(names, None, directory=tmp_path, reader=computes, batch_size=2, workers=4)
    profile = sequence.profile(num_batches=8)

    assert profile.cpu_seconds_per_batch["reading"] >= 0.04  # whatever else runs on this machine
    assert profile.num_cores_used <= 1.25
    assert profile.num_threads_at_work >= 1.6


# Advice


def profile_of(seconds, cpu_seconds=None, **settings):
    """A profile with these seconds per batch, on eight cores that all load."""
    defaults = dict(
        batch_size=32,
        num_workers=8,
        num_cores=8,
        batches_ahead=10,
        max_queue_size=10,
        batch_bytes=20_000_000,
        memory_bytes=240_000_000,
        shuffle=True,
        converts=False,
        cached=False,
        can_shuffle_blocks=True,
        has_opencv=True,
    )
    per_batch = {**dict.fromkeys(STAGES, 0.01), **seconds, "waiting": 0.02}
    return Profile(50, 1600, 1.0, per_batch, Settings(**{**defaults, **settings}), cpu_seconds or {})


@pytest.mark.parametrize(
    ("seconds", "settings", "advice"),
    [
        (
            dict(decoding=0.1, resizing=0.05),
            {},
            'Decoding and resizing take 83% of the work. cache="DIR" does both once; later epochs read rows.',
        ),
        (
            dict(decoding=0.1),
            dict(cached=True),
            "Decoding and resizing take 79% of the work. The cache does not have these rows yet: "
            "profile again after an epoch.",
        ),
        (
            dict(decoding=0.1),
            dict(has_opencv=False),
            "OpenCV decodes faster than Pillow: pip install 'keras_oocore[fast]'",
        ),
        ({}, dict(num_workers=1), "Only 1 of 8 cores loads: workers=8 (or leave it out)."),
        ({}, dict(num_workers=2), "Only 2 of 8 cores load: workers=8 (or leave it out)."),
        (
            {},
            dict(num_workers=0, batches_ahead=0),
            "There is no loading thread: the model waits while a batch is made. Pass workers=8 (or leave it out).",
        ),
        (
            {},
            dict(batches_ahead=0, memory_bytes=40_000_001),
            'No batch is made ahead: training and loading take turns. memory_limit="121MB" or more lets them overlap.',
        ),
        (
            {},
            dict(batches_ahead=1, max_queue_size=2, memory_bytes=60_000_000),
            'One batch is made ahead: a slow batch delays training. memory_limit="80MB" or more evens that out.',
        ),
        (
            {},
            dict(batches_ahead=1, max_queue_size=1),
            "One batch is made ahead: a slow batch delays training. max_queue_size=4 or more evens that out.",
        ),
        (
            dict(reading=0.2),
            {},
            "Reading takes 83% of the work: the disk is the limit, or your own `reader`. What helps: "
            'a faster disk, cache="DIR" on a faster disk, shuffle="block" on a disk that seeks slowly.',
        ),
        (
            dict(reading=0.2),
            dict(cached=True, shuffle=False),
            "Reading takes 83% of the work: the disk is the limit, or your own `reader`. What helps: a faster disk.",
        ),
        (
            dict(resizing=0.1),
            {},
            "Resizing takes 71% of the work. A smaller image_size is resized faster, and "
            'interpolation="bilinear" is the fastest.',
        ),
        (
            dict(transform=0.1),
            {},
            "`transform` takes 71% of the work. Layers in the model, such as keras.layers.RandomFlip, "
            "do it on the accelerator.",
        ),
        (
            dict(assembling=0.1),
            dict(converts=True),
            "Assembling takes 71% of the work. Without rescale, dtype and data_format, rows are not converted. "
            "Use a layer in the model instead, such as keras.layers.Rescaling(1 / 255).",
        ),
    ],
)
def test_advice(seconds, settings, advice):
    assert advice in profile_of(seconds, **settings).advice
    assert advice in str(profile_of(seconds, **settings))


@pytest.mark.parametrize(
    ("seconds", "cpu_seconds", "settings", "advice"),
    [
        (
            dict(reading=0.16),
            dict(reading=0.02),
            dict(cacheable=True),
            "Reading takes 80% of the work, and 8 threads use 1.0 of 8 cores, because Python code holds the lock of "
            "the interpreter. What helps: a `reader` that calls NumPy or another library, which releases the lock, or "
            'cache="DIR", which calls `reader` once per file. More threads do not.',
        ),
        (
            dict(reading=0.16),
            dict(reading=0.002),
            dict(cacheable=True),
            "Reading takes 80% of the work, and 99% of that is waiting for the disk. What helps: workers=32, to read "
            'more files at a time, a faster disk, cache="DIR" on a faster disk, shuffle="block" on a disk that seeks '
            "slowly.",
        ),
        (
            dict(reading=0.16),
            dict(reading=0.002),
            dict(num_workers=32, cached=True, shuffle=False),
            "Reading takes 80% of the work, and 99% of that is waiting for the disk. What helps: a faster disk.",
        ),
        (
            dict(reading=0.16),
            dict(reading=0.15),
            dict(shuffle=False),
            "Reading takes 80% of the work: the disk is the limit, or your own `reader`. What helps: a faster disk, "
            'cache="DIR" on a faster disk.',
        ),
        (
            dict(transform=0.16),
            dict(transform=0.021),
            {},
            "`transform` takes 80% of the work, and 8 threads use 1.1 of 8 cores, because Python code holds the lock "
            "of the interpreter. Layers in the model, such as keras.layers.RandomFlip, do it on the accelerator.",
        ),
    ],
)
def test_advice_by_the_use_of_the_cores(seconds, cpu_seconds, settings, advice):
    assert advice in profile_of(seconds, cpu_seconds, **settings).advice


@pytest.mark.parametrize("cpu_seconds", [0.02, 0.002])
def test_advice_about_threads_does_not_contradict_itself(cpu_seconds):
    profile = profile_of(dict(reading=0.16), dict(reading=cpu_seconds), num_workers=4)

    assert profile.advice[0].startswith("Reading takes 80% of the work, and ")
    assert not any("of 8 cores load" in words for words in profile.advice)


def test_advice_is_short_and_the_most_useful_comes_first():
    profile = profile_of(dict(decoding=0.1, resizing=0.1), num_workers=4, has_opencv=False, batches_ahead=1)
    cache, workers, limit = profile.advice

    assert "cache=" in cache
    assert "workers=8" in workers
    assert limit == "If training is slower than 1,600 samples/s, the model is the limit, not the loading."
    assert "workers=8" in profile_of(dict(decoding=0.05), num_workers=1).advice[0]


@pytest.mark.parametrize(
    ("seconds", "settings"),
    [
        (dict(reading=0.01, decoding=0.001, resizing=0.0, assembling=0.02), {}),
        (dict(assembling=0.1), {}),  # nothing is converted
        (dict(assembling=0.1), dict(num_workers=7)),
        (dict(assembling=0.1), dict(has_opencv=False)),  # and decoding takes little time
        (dict.fromkeys(STAGES, 0.0), {}),
    ],
)
def test_advice_if_nothing_stands_out(seconds, settings):
    seconds = {"transform": 0.001, **seconds}

    assert profile_of(seconds, **settings).advice == [
        "Nothing stands out. If training is slower than 1,600 samples/s, the model is the limit, not the loading."
    ]


def test_advised_memory_limit_is_sufficient():
    rows = np.zeros((40, 200_000), "float32")
    options = dict(labels=None, batch_size=2, rescale=2.0)
    num_cores = ArraySequence(rows, **options).num_workers
    limit_bytes = 2 * rows[:2].nbytes + num_cores * rows[:1].nbytes  # two batches, and a row to convert per thread
    profile = ArraySequence(rows, memory_limit=limit_bytes, **options).profile(num_batches=2)
    (advice,) = (words for words in profile.advice if "memory_limit" in words)
    given = advice.partition('memory_limit="')[2].partition('"')[0]
    enough = ArraySequence(rows, memory_limit=given, **options).profile(num_batches=2)

    assert (profile.settings.batches_ahead, enough.settings.batches_ahead) == (0, 4)


def test_settings(folder, monkeypatch):
    monkeypatch.setattr("keras_oocore.batches.timing.find_spec", lambda name: None)
    settings = opened(folder, workers=3, max_queue_size=5, rescale=0.5, shuffle="block").profile(1).settings

    assert (settings.batch_size, settings.num_workers, settings.batches_ahead, settings.max_queue_size) == (4, 3, 5, 5)
    assert (settings.shuffle, settings.converts, settings.cached, settings.has_opencv) == ("block", True, False, False)


def test_settings_of_a_sequence_with_a_cache(folder, tmp_path):
    sequence = opened(folder, cache=tmp_path / "cache")
    profile = sequence.profile(num_batches=1)

    assert profile.settings.cached
    assert "a cache" in str(profile)
    assert "cache=" not in str(profile)


# Display


def test_no_advice_about_the_disk_if_rows_come_from_memory():
    only_reading = dict.fromkeys(STAGES, 0)
    quick = profile_of({**only_reading, "reading": 0.0001}, cached=True, batch_bytes=10**6)
    slow = profile_of({**only_reading, "reading": 0.01}, cached=True, batch_bytes=10**6)

    assert quick.advice[0].startswith("Nothing stands out")
    assert slow.advice[0].startswith("Reading takes 100% of the work: the disk is the limit")


def test_stages_without_a_share_are_left_out():
    lines = str(profile_of(dict(decoding=0, resizing=0.0001, transform=0))).splitlines()

    assert [line.split()[0] for line in lines[3:6]] == ["reading", "assembling", "waiting"]
    assert "0%" not in [word for line in lines for word in line.split()]


def test_str_is_a_table_and_repr_is_one_line(capsys):
    profile = profile_of(dict(decoding=0.0567), num_workers=1, num_cores=1, cached=True)

    assert repr(profile) == "<Profile: 1,600 samples/s>"
    assert str(profile).splitlines()[:13] == [
        "50 batches, 1,600 samples in 1.00 s: 1,600 samples/s",
        "",
        "  stage           ms/batch   of the work",
        "  reading            10.00           10%",
        "  decoding           56.70           59%",
        "  resizing           10.00           10%",
        "  transform          10.00           10%",
        "  assembling         10.00           10%",
        "  waiting            20.00",
        "",
        "  1 thread on 1 core, batches of 32, 10 of them ahead, at most 240.0 MB in flight, a cache",
        "  Stages are summed over threads. Waiting is that of a model without work of its own.",
        "",
    ]
    returned = numbered(8, workers=0).profile(num_batches=1)
    assert capsys.readouterr().out == f"{returned}\n"
    assert str(returned).startswith("1 batch, 4 samples in ")


def test_a_notebook_shows_it_as_a_table(folder):
    profile = opened(folder).profile(1)
    shown = profile._repr_html_()

    assert "samples/s</div>" in shown
    assert all(f">{stage}</td>" in shown for stage in ("decoding", "waiting"))
    assert html.escape(profile.advice[-1]) in shown


def test_the_cell_that_printed_it_does_not_show_it_again(folder, monkeypatch):
    shell = SimpleNamespace(execution_count=3)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    profile = opened(folder).profile(1)

    assert profile._repr_html_() is None
    shell.execution_count = 4
    assert "samples/s</div>" in profile._repr_html_()
