"""What the pixels tell is found while rows are stored. The report is the same as when all rows are read."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
from pictures import encoded, picture, save, scaled
from PIL import Image, ImageFilter

import keras_oocore as ko
from keras_oocore.images.measures import measures_of
from keras_oocore.sources.stored import stored_measures
from keras_oocore.store.format import CHECKSUMS, MEASURES, StoreRecord
from keras_oocore.store.reader import PackedStore, block_checksums

SIZE = (96, 128)


@pytest.fixture
def folder(tmp_path):
    """Files with everything that pixels can tell: copies, a conflict, and blank, dark, blurred and bad images."""
    folder = tmp_path / "photos"
    for number in range(8):
        save(picture(number), folder / ("cat", "dog")[number % 2] / f"{number}.png")
    shutil.copy(folder / "cat/0.png", folder / "cat/same.png")
    shutil.copy(folder / "cat/2.png", folder / "dog/same.png")
    save(scaled(picture(1)), folder / "dog/near.png")
    save(picture(9).filter(ImageFilter.GaussianBlur(5)), folder / "cat/blurred.png")
    save(picture(10).point(lambda level: level // 16), folder / "cat/dark.png")
    for name in ("a", "b"):
        save(Image.new("RGB", (40, 30), "white"), folder / "dog" / f"white_{name}.png")
    (folder / "cat/broken.png").write_bytes(b"not an image")
    return folder


def images(folder, **options):
    return ko.ImageFolderSequence(folder, image_size=SIZE, on_error="skip", **options)


def without_measures(directory):
    """Make a store one of an earlier version."""
    record = StoreRecord.load(directory)
    del record.fields[MEASURES]
    (directory / f"{MEASURES}.npy").unlink()
    if record.complete:
        np.save(directory / CHECKSUMS, block_checksums(directory, record))
    record.save(directory)
    return directory


def facts(report):
    notes = tuple(note.replace(report.data, "DATA") for note in report.not_checked)
    found = {**dataclasses.asdict(report), "not_checked": notes, "data": None, "seconds": None}
    return {name: str(value) for name, value in found.items()}


@pytest.fixture
def rows_read(monkeypatch):
    """The numbers of the rows whose pixels were read from finished stores."""
    rows, read = [], PackedStore.read

    def recorded(self, name, numbers, out):
        if name == "x":
            rows.extend(numbers.tolist())
        read(self, name, numbers, out)

    monkeypatch.setattr(PackedStore, "read", recorded)
    return rows


def packed(folder, directory, **options):
    images(folder, **options).pack(directory)
    return directory


def test_the_report_is_that_of_reading_all_rows(folder, tmp_path, rows_read):
    store = packed(folder, tmp_path / "packed")
    old = without_measures(packed(folder, tmp_path / "old"))

    report, whole = ko.check(store, mirrored=True), ko.check(old, mirrored=True)

    assert facts(report) == facts(whole)
    assert {copies.kind for copies in report.duplicates} == {"exact", "near", "blank"}
    assert {*report.unusual} == {"blank", "very dark", "blurred"}
    assert (len(report.conflicts), [*report.bad]) == (1, ["cat/broken.png"])
    names = ko.Manifest.load(store).filenames
    first_time = sorted(names[rows_read[: -len(names)]])
    assert first_time == ["cat/0.png", "cat/2.png", "cat/broken.png", "cat/same.png", *names[-4:][names[-4:] > "dog/s"]]


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers(folder, tmp_path, workers):
    cache = images(folder, cache=tmp_path / "cache", workers=workers, batch_size=3, seed=workers)
    for _ in cache:
        pass
    old = without_measures(packed(folder, tmp_path / "old"))

    assert facts(ko.check(cache, workers=workers)) == facts(ko.check(old))
    assert (tmp_path / "cache" / "measures.npy").exists()


@pytest.mark.parametrize("old", [(), ("train",), ("val",), ("train", "val")])
def test_leaks_between_stores_with_and_without_measures(folder, tmp_path, old):
    save(picture(3), tmp_path / "other" / "dog" / "exact.png")
    save(encoded(picture(4)), tmp_path / "other" / "cat" / "near.jpg")
    stores = {"train": packed(folder, tmp_path / "train"), "val": packed(tmp_path / "other", tmp_path / "val")}
    for name in old:
        without_measures(stores[name])

    leaks = ko.check(stores["train"], against=stores["val"]).leaks

    assert [(leak.file, leak.other, leak.kind) for leak in leaks] == [
        ("cat/4.png", "cat/near.jpg", "near"),
        ("dog/3.png", "dog/exact.png", "exact"),
    ]


@pytest.mark.filterwarnings("ignore:.*is left out")
def test_a_store_that_an_earlier_version_began_is_continued_without_measures(folder, tmp_path):
    sequence = images(folder, cache=tmp_path / "cache", batch_size=4, shuffle=False)
    sequence.load_batch(0)
    sequence.close()
    without_measures(tmp_path / "cache")

    sequence = images(folder, cache=tmp_path / "cache", batch_size=4, shuffle=False)
    for _ in sequence:
        pass

    assert facts(ko.check(sequence)) == facts(ko.check(packed(folder, tmp_path / "packed")))
    sequence.close()
    assert not (tmp_path / "cache" / "measures.npy").exists()
    ko.open_packed(tmp_path / "cache").verify()


def test_measures_of_rows_that_do_not_count_are_not_known(folder, tmp_path):
    """As after a kill: bytes were written, and the state of the row was not."""
    store = PackedStore(packed(folder, tmp_path / "packed"))
    whole = store.states == 1
    values = np.empty((int(whole.sum()), *SIZE, 3), np.uint8)
    store.read("x", np.flatnonzero(whole), values)

    store.states[2] = 0

    measures = stored_measures(store, np.arange(len(whole)))
    whole[2] = False
    assert np.isnan(measures[~whole]).all()
    assert measures[whole].tobytes() == measures_of(values)[np.arange(len(values)) != 2].tobytes()


def test_a_file_that_changed_is_bad_in_both_ways(folder, tmp_path):
    for name in ("new", "old"):
        sequence = images(folder, cache=tmp_path / name)
        sequence.pack(tmp_path / name)
        sequence.close()
    without_measures(tmp_path / "old")
    sequences = [images(folder, cache=tmp_path / name) for name in ("new", "old")]
    for sequence in sequences:
        sequence.load_batch(0)
    os.utime(folder / "cat/0.png", ns=(1, 1))
    reports = [ko.check(sequence) for sequence in sequences]

    new, old = reports
    assert [*new.bad] == [*old.bad] == ["cat/0.png", "cat/broken.png"]
    assert "its file changed after it was stored" in new.bad["cat/0.png"]
    assert new.duplicates == old.duplicates


def test_doubtful_files_of_a_store_are_bad(folder, tmp_path):
    pytest.importorskip("simplejpeg")
    save(picture(11), folder / "cat" / "11.jpg", quality=90)
    content = bytearray((folder / "cat" / "11.jpg").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    (folder / "cat" / "11.jpg").write_bytes(content)
    with pytest.warns(UserWarning, match="may be damaged"):
        store = packed(folder, tmp_path / "packed")

    bad = ko.check(store).bad

    assert bad == ko.check(folder).bad
    assert bad["cat/11.jpg"].startswith("may be damaged: Corrupt JPEG data")


def test_rows_of_other_files_are_not_measured(tmp_path):
    for number in range(3):
        (tmp_path / "arrays").mkdir(exist_ok=True)
        np.save(tmp_path / "arrays" / f"{number}.npy", np.asarray(picture(number // 2)))
    manifest = ko.Manifest.from_directory(tmp_path / "arrays", labels=None, extensions=".npy")
    ko.NpyManifestSequence(manifest).pack(tmp_path / "packed")

    assert not (tmp_path / "packed" / "measures.npy").exists()
    assert [copies.files for copies in ko.check(tmp_path / "packed").duplicates] == [("0.npy", "1.npy")]


def test_a_store_that_is_replaced_by_one_without_measures_leaves_none(folder, tmp_path):
    packed(folder, tmp_path / "packed")
    np.save(tmp_path / "0.npy", np.zeros(3))
    arrays = ko.Manifest.from_arrays(["0.npy"], directory=tmp_path)
    ko.NpyManifestSequence(arrays).pack(tmp_path / "packed", overwrite_cache=True)

    assert not (tmp_path / "packed" / "measures.npy").exists()
