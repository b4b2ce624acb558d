"""ko.check(executor=): workers read the files, and the report is that of threads."""

import dataclasses
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from executors import HostileExecutor
from pictures import picture, save, scaled

import keras_oocore as ko
from keras_oocore.checks import scan
from keras_oocore.core import tasks
from keras_oocore.core.errors import OptionError, ResourceError


@pytest.fixture
def folder(tmp_path):
    """Pictures with copies, a damaged, an empty and a missing one."""
    for number in range(12):
        save(picture(number), tmp_path / "phötos" / ("cat", "dog")[number % 2] / f"{number}.png")
    save(scaled(picture(0)), tmp_path / "phötos" / "dog" / "copy ü.png")
    shutil.copy(tmp_path / "phötos/cat/2.png", tmp_path / "phötos/cat/same.png")
    (tmp_path / "phötos/dog/1.png").write_bytes(b"not an image")
    (tmp_path / "phötos/dog/3.png").write_bytes(b"")
    return tmp_path / "phötos"


def content(report):
    values = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    return {name: np.asarray(v).tolist() if name == "groups" else v for name, v in values.items() if name != "seconds"}


def test_the_report_of_worker_processes_is_that_of_threads(folder):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        report = ko.check(folder, folder / "cat", mirrored=True, executor=executor)

    assert content(report) == content(ko.check(folder, folder / "cat", mirrored=True))
    assert list(report.bad) == ["dog/1.png", "dog/3.png"]
    assert [copies.files for copies in report.duplicates] == [
        ("cat/0.png", "dog/copy ü.png"),
        ("cat/2.png", "cat/same.png"),
    ]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (1, 2))])
def test_lost_repeated_and_reordered_tasks_do_not_change_the_report(folder, seed):
    manifest = ko.Manifest.from_directory(folder).shuffle(seed)
    (folder / "cat" / "4.png").unlink()
    with HostileExecutor(seed) as executor:
        report = ko.check(manifest, executor=executor)

    assert content(report) == content(ko.check(manifest))
    assert report.bad["cat/4.png"] == "file not found"


def test_arrays_of_a_sequence_are_read_with_its_reader(tmp_path):
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.full(3, number % 4, "float32"))
    np.save(tmp_path / "2.npy", np.zeros(5))
    sequence = ko.NpyManifestSequence(tmp_path, labels=None, batch_size=2)
    with HostileExecutor() as executor:
        report = ko.check(sequence, executor=executor)

    assert content(report) == content(ko.check(sequence))
    assert list(report.bad) == ["2.npy"]
    assert [copies.files for copies in report.duplicates] == [("0.npy", "4.npy"), ("1.npy", "5.npy")]


def test_stored_rows_are_read_in_threads(folder, tmp_path):
    sequence = ko.ImageFolderSequence(folder, image_size=64, on_error="skip")
    sequence.pack(tmp_path / "packed")
    with HostileExecutor() as executor:
        report = ko.check(tmp_path / "packed", executor=executor)

    assert executor.sizes == []
    assert content(report) == content(ko.check(tmp_path / "packed"))


def test_a_task_does_not_grow_with_the_number_of_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "FEWEST_TASKS", 4)
    sizes = []
    for number in (4_000, 8_000):  # tasks of 512 files
        manifest = ko.Manifest.from_arrays([f"{i:08}.npy" for i in range(number)], [0] * number, directory=tmp_path)
        np.save(tmp_path / "00000000.npy", np.zeros(3))
        with (
            HostileExecutor(ways=["kill"]) as executor,
            pytest.raises(ResourceError, match="Call `check` again"),
        ):
            ko.check(manifest, executor=executor)
        sizes.append(max(executor.sizes))
    assert abs(sizes[1] - sizes[0]) < 2000 < sizes[0]


def test_an_error_names_the_number_of_the_file(folder, monkeypatch):
    manifest = ko.Manifest.from_directory(folder)
    monkeypatch.setattr(scan, "read_bytes", no_memory)
    with HostileExecutor(ways=["run"]) as executor, pytest.raises(MemoryError, match=r"sample 8, '.*dog/11.png'"):
        ko.check(manifest, executor=executor)


def no_memory(path):
    if os.path.basename(path) == "11.png":
        raise MemoryError
    return b""


def test_what_is_not_an_executor_is_refused(folder):
    with pytest.raises(OptionError, match="`executor` should be a concurrent"):
        ko.check(folder, executor=4)
