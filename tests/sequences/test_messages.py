"""Errors about arrays that no model can use say what they are, and what to type."""

import re

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError, SampleError

DAYS = np.array(["2024-01-01", "2024-01-02"], "datetime64[D]")
SECONDS = re.escape('dates.astype("datetime64[s]").astype("float64") for seconds since 1970')


def saved(folder, *arrays):
    for number, array in enumerate(arrays):
        np.save(folder / f"{number}.npy", array)
    return [f"{number}.npy" for number in range(len(arrays))]


def test_a_table_in_place_of_a_folder(in_tmp_path, write):
    write("filename,class\na.png,x\n", "train.csv")
    with pytest.raises(DataError, match=r"lists files and their classes: Manifest.from_csv\('train.csv', directory="):
        ko.ImageFolderSequence("train.csv")
    with pytest.raises(OptionError, match=r"lists files: Manifest.from_csv\('train.csv', directory='photos'\)"):
        ko.NpyManifestSequence("train.csv", directory="photos")


def test_a_directory_that_does_not_exist(in_tmp_path, write):
    write("filename,class\na.png,x\n", "train.csv")
    (in_tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"Directory 'photo' does not exist. .* Did you mean 'photos'\?"):
        ko.Manifest.from_csv("train.csv", directory="photo")


def test_a_csv_file_that_does_not_exist(in_tmp_path, write):
    write("a,price\n1,2\n", "houses.csv")
    with pytest.raises(DataError, match=r"No such file or directory. The working .* Did you mean 'houses.csv'\?"):
        ko.CSVChunkSequence("house.csv", target="price")


def test_labels_of_another_number_of_rows():
    with pytest.raises(DataError, match=r"one label per row\. Received: 3 rows and 2 labels"):
        ko.ArraySequence(np.zeros((3, 2)), [0, 1])


def test_rows_of_dates(tmp_path):
    np.save(tmp_path / "dates.npy", DAYS)
    for data in (DAYS, tmp_path / "dates.npy"):
        message = rf"`data` should be numbers\. Received: dates, of dtype datetime64\[D\]\. Convert .* {SECONDS}"
        with pytest.raises(OptionError, match=message):
            ko.ArraySequence(data, None)
    with pytest.raises(OptionError, match=r"Received: time differences, .* times / np\.timedelta64\(1, \"s\"\)"):
        ko.ArraySequence(DAYS - DAYS[0], None)


def test_labels_that_are_dates():
    with pytest.raises(OptionError, match=rf"`labels` should be numbers\. Received: dates, .* {SECONDS}"):
        ko.ArraySequence(np.zeros((2, 3)), DAYS)


def test_files_of_dates(tmp_path):
    names = saved(tmp_path, DAYS, DAYS)
    with pytest.raises(OptionError, match=rf"Samples should be numbers\. Received: dates, .* {SECONDS}"):
        ko.NpyManifestSequence(names, None, directory=tmp_path)
    with pytest.raises(OptionError, match=r"Samples should be numbers\. Received: strings, of dtype <U1\. Convert"):
        ko.NpyManifestSequence(saved(tmp_path, np.array(["a"])), None, directory=tmp_path)


def test_files_of_dates_that_are_converted(tmp_path):
    names = saved(tmp_path, DAYS, DAYS)
    options = dict(directory=tmp_path, batch_size=2)
    in_days = ko.NpyManifestSequence(names, None, dtype="float32", **options)
    transformed = ko.NpyManifestSequence(names, None, transform=lambda x, y, rng: (x.astype("int64"), y), **options)

    assert in_days[0].tolist() == transformed[0].tolist() == [DAYS.astype("int64").tolist()] * 2


def test_no_samples():
    with pytest.raises(DataError, match=r"There are no samples\. Received: data of length 0"):
        ko.ArraySequence(np.zeros((0, 3)), None)


def test_samples_without_values(tmp_path):
    with pytest.raises(DataError, match=r"shape \(0,\) contain no values\. The first sample is 'row 0'\. Check how"):
        ko.ArraySequence(np.zeros((3, 0)), None)
    with pytest.raises(DataError, match=r"shape \(2, 0\) contain no values\. The first sample is '.*0\.npy'"):
        ko.NpyManifestSequence(saved(tmp_path, np.zeros((2, 0))), None, directory=tmp_path)


def test_empty_file(tmp_path):
    names = saved(tmp_path, np.zeros(2), np.zeros(2))
    (tmp_path / names[1]).write_bytes(b"")
    with pytest.raises(SampleError, match=r"1\.npy': empty file\. Fix or remove it, or pass on_error="):
        ko.NpyManifestSequence(names, None, directory=tmp_path, shuffle=False)[0]


@pytest.mark.parametrize("reader", [None, np.load])
@pytest.mark.parametrize("other", [np.zeros(3), np.zeros(2, "complex128")])
def test_arrays_of_unequal_form(tmp_path, reader, other):
    names = saved(tmp_path, np.zeros(2), other)
    message = (
        r"1\.npy'.*\. Pad or crop the arrays to one shape, and convert them to one dtype, in the `reader`, or pass "
        'on_error="skip" or "replace".$'
    )
    with pytest.raises(SampleError, match=message):
        ko.NpyManifestSequence(names, None, directory=tmp_path, reader=reader, shuffle=False)[0]
