"""Fixtures of the tests of Sequences."""

import inside_sequence as inside
import pytest
from csv_numbers import NUM_ROWS
from drawing import SIZE

import keras_oocore as ko
from keras_oocore.tables.csv import table as csv_table


@pytest.fixture
def open_csv(write, tmp_path, monkeypatch):
    """A function that opens a CSV file. Row i is `x = i, city, y = 2 i`, and a chunk contains about ten rows."""
    write("x,city,y\n" + "".join(f"{i},{'Rome' if i % 3 else 'Oslo'},{2 * i}\n" for i in range(NUM_ROWS)))

    def open_csv(chunk_bytes=100, cached=False, data="houses.csv", **options):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", chunk_bytes)
        if cached:
            options["cache"] = tmp_path / "cache"
        return ko.CSVChunkSequence(data, **{"target": "y", "features": ["x"], "batch_size": 4, "seed": 7, **options})

    return open_csv


@pytest.fixture
def open_photos(photos, tmp_path, monkeypatch):
    """A function that opens the photos with a cache. Its attribute `decoded` lists the samples that were decoded."""

    def open_photos(**options):
        # No threads: samples that they read ahead for the next pass may be decoded twice.
        options = {"image_size": SIZE, "batch_size": 4, "seed": 0, "workers": 0, "cache": tmp_path / "cache", **options}
        return ko.ImageFolderSequence(photos, **options)

    open_photos.decoded = inside.record_decoded(monkeypatch)
    return open_photos
