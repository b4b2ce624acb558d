"""Bad input for `ko.check`: no files, one file, all alike, all broken, files that vanish, and Ctrl-C."""

import importlib
import os
import signal
import threading
import time

import numpy as np
import pytest
from interrupts import sigint_raises
from pictures import picture, save
from PIL import Image

import keras_oocore as ko
from keras_oocore.core import storage

scan = importlib.import_module("keras_oocore.checks.scan")


def test_an_empty_directory_is_an_error(tmp_path):
    with pytest.raises(ko.DataError, match="is empty"):
        ko.check(tmp_path)


def test_a_missing_directory_is_an_error(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ko.DataError, match=r"does not exist\. Did you mean 'photos'\?"):
        ko.check(tmp_path / "fotos")


def test_a_file_is_an_error(tmp_path):
    save(picture(0), tmp_path / "a.png")
    with pytest.raises(ko.DataError, match="is a file, but it should be a directory"):
        ko.check(tmp_path / "a.png")


def test_a_manifest_without_samples(tmp_path):
    save(picture(0), tmp_path / "a.png")
    report = ko.check(ko.Manifest.from_directory(tmp_path, labels=None).take([]))

    assert (report.num_files, report.found, report.groups.tolist()) == (0, False, [])


def test_one_file(tmp_path):
    save(picture(0), tmp_path / "a.png")
    report = ko.check(tmp_path, mirrored=True)

    assert (report.num_files, report.found, report.groups.tolist()) == (1, False, [0])


def test_all_files_alike(tmp_path):
    for number in range(50):
        save(picture(0), tmp_path / f"{number:02}.png")
    report = ko.check(tmp_path)

    assert [len(copies.files) for copies in report.duplicates] == [50]
    assert report.groups.tolist() == [0] * 50
    assert len(ko.Manifest.from_directory(tmp_path, labels=None).without(report.duplicates)) == 1


def test_all_files_broken(tmp_path):
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(b"\x89PNG\r\n\x1a\nthe same in all")
    report = ko.check(tmp_path)

    assert len(report.bad) == 40
    assert report.duplicates == []
    assert report.groups.tolist() == [*range(40)]
    assert len(ko.Manifest.from_directory(tmp_path, labels=None).without(report.bad)) == 0


def test_a_file_that_vanishes_meanwhile_is_bad(tmp_path, monkeypatch):
    for number in range(4):
        save(picture(number), tmp_path / f"{number}.png")
    stat_files = scan.stat_files

    def and_remove_one(data, measured):
        stat_files(data, measured)
        (tmp_path / "2.png").unlink()

    module = importlib.import_module("keras_oocore.checks.check")
    monkeypatch.setattr(module, "stat_files", and_remove_one)

    assert list(ko.check(tmp_path).bad) == ["2.png"]


def test_a_file_that_changes_meanwhile_is_compared_by_what_was_read(tmp_path, monkeypatch):
    save(picture(0), tmp_path / "a.png")
    save(picture(1), tmp_path / "b.png")
    module = importlib.import_module("keras_oocore.checks.check")

    def and_change_one(data, measured):
        scan.stat_files(data, measured)
        save(picture(2), tmp_path / "b.png")

    monkeypatch.setattr(module, "stat_files", and_change_one)

    report = ko.check(tmp_path)
    assert (report.bad, report.duplicates) == ({}, [])


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_bad(tmp_path):
    save(picture(0), tmp_path / "a.png").chmod(0)

    assert ko.check(tmp_path).bad == {"a.png": "permission denied"}


def test_a_fault_that_passes_is_tried_again(tmp_path, monkeypatch):
    save(picture(0), tmp_path / "a.png")
    open_file, failed = storage.open_file, []

    def failing_once(path, *arguments, **options):
        if not failed:
            failed.append(path)
            raise OSError(5, "Input/output error")
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(storage, "open_file", failing_once)

    assert not ko.check(tmp_path).bad
    assert failed


def test_too_many_open_files_stop_the_check(tmp_path, monkeypatch):
    save(picture(0), tmp_path / "a.png")

    def failing(path, *arguments, **options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(storage, "open_file", failing)

    with pytest.raises(ko.ResourceError, match="ulimit -n"):
        ko.check(tmp_path)


def test_ctrl_c_ends_the_check_and_its_threads(tmp_path, monkeypatch):
    for number in range(200):
        save(Image.fromarray(np.full((8, 8), number, np.uint8)), tmp_path / f"{number}.png")
    read_image, seen = scan._FileScan._read_image, []

    def and_interrupt(self, i):
        seen.append(i)
        if len(seen) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        if len(seen) >= 20:
            time.sleep(0.03)  # a thread that waits may notice Ctrl-C after a second (`NOTICE_SECONDS`)
        read_image(self, i)

    monkeypatch.setattr(scan._FileScan, "_read_image", and_interrupt)

    with sigint_raises(), pytest.raises(KeyboardInterrupt):
        ko.check(tmp_path, workers=2)
    assert len(seen) < 200
    assert not [thread for thread in threading.enumerate() if thread.name == "keras_oocore-check"]
    monkeypatch.setattr(scan._FileScan, "_read_image", read_image)
    assert ko.check(tmp_path).num_files == 200


def test_ten_thousand_blank_images_are_one_group():
    measured = importlib.import_module("keras_oocore.checks.measured").Measured(10_000)
    measured.has_picture[:] = True
    link_copies = importlib.import_module("keras_oocore.checks.copies").link_copies

    links = link_copies(measured, images=True, mirrored=True)

    assert (links.group == links.group[0]).all()


def test_ten_thousand_pictures_that_are_almost_equal_are_one_group():
    """They have few hashes, and not all pairs of them are compared."""
    rng = np.random.default_rng(0)
    near = importlib.import_module("keras_oocore.checks.near")
    signature = rng.integers(-127, 128, (1, 136))
    signatures = (signature + rng.integers(-3, 4, (10_000, 136))).clip(-127, 127).astype(np.int8)

    pairs, is_mirrored, _ = near.near_pairs(signatures)

    assert len(pairs) < 10**6
    assert len(np.unique(pairs)) == 10_000
    assert not is_mirrored.any()
