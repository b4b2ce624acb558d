"""Every Source passes the contract of Sources."""

import os

import h5py
import numpy as np
import pytest
from array_likes import Slices
from contracts.sources import NUM_SAMPLES, FallibleSourceContract, SourceContract

from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.array_likes import ArrayLike
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.cache import cached
from keras_oocore.sources.chunked import ChunkedRows
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.hdf5 import HDF5Rows
from keras_oocore.sources.labelled import Labelled
from keras_oocore.sources.npy import NpyReader
from keras_oocore.sources.stored import PackedSamples
from keras_oocore.store.reader import PackedStore


def rows(first):
    """An array whose row `i` contains `first + i`."""
    return np.broadcast_to(np.arange(first, first + NUM_SAMPLES, dtype="float32")[:, None, None], (NUM_SAMPLES, 2, 3))


def file_samples(folder, first=0):
    """A `.npy` file per sample. Files have the names of their numbers."""
    for number, row in enumerate(rows(first), first):
        if not (folder / f"{number}.npy").exists():
            np.save(folder / f"{number}.npy", row)
    manifest = Manifest.from_arrays([f"{first + sample}.npy" for sample in range(NUM_SAMPLES)], directory=folder)
    return FileSamples(manifest, NpyReader(manifest.path(0)))


def damage_file(folder, sample):
    (folder / f"{sample}.npy").write_bytes(b"not an array")


class TestFileSamples(FallibleSourceContract):
    def open(self, folder, first=0):
        return file_samples(folder, first)

    def damage(self, folder, sample):
        damage_file(folder, sample)


class TestRowsInMemory(SourceContract):
    def open(self, folder, first=0):
        return ArrayRows(rows(first).copy())


class TestRowsOfAFile(SourceContract):
    def open(self, folder, first=0):
        np.save(folder / "rows.npy", rows(first))
        return ArrayRows(folder / "rows.npy")


class TestContiguousHDF5(SourceContract):
    def open(self, folder, first=0):
        with h5py.File(folder / "rows.h5", "w") as file:
            file["rows"] = rows(first)
        return ArrayRows(HDF5Rows(folder / "rows.h5", "rows"))

    def reopen(self, folder, first=0):
        return ArrayRows(HDF5Rows(folder / "rows.h5", "rows"))


class TestChunkedHDF5(SourceContract):
    """Five chunks, of which four fit into memory."""

    def open(self, folder, first=0):
        with h5py.File(folder / "rows.h5", "w") as file:
            file.create_dataset("rows", data=rows(first), chunks=(2, 2, 3), compression="gzip")
        return ChunkedRows(HDF5Rows(folder / "rows.h5", "rows"), limit_bytes=4 * 48)

    def reopen(self, folder, first=0):
        return ChunkedRows(HDF5Rows(folder / "rows.h5", "rows"), limit_bytes=4 * 48)


class TestArrayLike(SourceContract):
    def open(self, folder, first=0):
        return ChunkedRows(ArrayLike(Slices(rows(first), chunks=(3, 2, 3))), limit_bytes=4 * 72)


class TestDamagedChunks(FallibleSourceContract):
    """Each row is a chunk with a checksum."""

    def open(self, folder, first=0):
        with h5py.File(folder / "rows.h5", "w") as file:
            dataset = file.create_dataset("rows", data=rows(first), chunks=(1, 2, 3), fletcher32=True)
            self.places = [dataset.id.get_chunk_info(row).byte_offset for row in range(NUM_SAMPLES)]
        return ChunkedRows(HDF5Rows(folder / "rows.h5", "rows"), limit_bytes=4 * 24)

    def reopen(self, folder, first=0):
        return ChunkedRows(HDF5Rows(folder / "rows.h5", "rows"), limit_bytes=4 * 24)

    def damage(self, folder, sample):
        path = folder / "rows.h5"
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        with open(path, "r+b") as file:
            file.seek(self.places[sample])
            file.write(b"\xff" * 24)
        os.utime(path, ns=times)


class TestLabelled(FallibleSourceContract):
    """Labels and weights come with the rows of any source."""

    labels = np.arange(NUM_SAMPLES) * 3
    weights = np.arange(NUM_SAMPLES, dtype="float32") / 4

    def open(self, folder, first=0):
        return Labelled(file_samples(folder, first), Labels(self.labels, "raw"), self.weights)

    def damage(self, folder, sample):
        damage_file(folder, sample)

    def test_unpack_adds_the_labels_and_weights_of_the_samples(self, source):
        batch = np.zeros((2, 2, 3), "float32")
        x, y, sample_weight = source.unpack(batch, np.array([7, 2]))

        assert x is batch
        assert y.tolist() == [21, 6]
        assert sample_weight.tolist() == [1.75, 0.5]

    def test_fingerprint_depends_on_the_labels(self, source):
        others = Labelled(source.source, Labels(self.labels[::-1].copy(), "raw"), self.weights)

        assert others.fingerprint() != source.fingerprint()


class TestCachedWhileItFills(FallibleSourceContract):
    """Rows are read from their files, and stored."""

    can_select = False

    def open(self, folder, first=0):
        return cached(file_samples(folder, first), folder / "cache", keep_errors=True, overwrite=False)

    def damage(self, folder, sample):
        damage_file(folder, sample)


class TestCachedAndFilled(FallibleSourceContract):
    """Every row is in the store. Files that change afterwards are errors."""

    can_select = False

    def open(self, folder, first=0):
        source = cached(file_samples(folder, first), folder / "cache", keep_errors=True, overwrite=False)
        source.read(np.arange(NUM_SAMPLES), np.zeros((NUM_SAMPLES, 2, 3), "float32"))
        source.finish()
        return source

    def damage(self, folder, sample):
        damage_file(folder, sample)

    def test_a_row_is_read_from_the_store_after_its_file_was_deleted(self, source, folder):
        (folder / "5.npy").unlink()

        assert self.read(source, [5]) == [5]


class TestPackedSamples(SourceContract):
    """A finished store needs no other files."""

    def open(self, folder, first=0):
        source = TestCachedAndFilled().open(folder, first)
        names = source.source.manifest.filenames
        source.close()
        return PackedSamples(PackedStore(folder / "cache"), names)


class TestSelection(FallibleSourceContract):
    """A selection is a source like any other."""

    def open(self, folder, first=0):
        return file_samples(folder, first).select(np.arange(NUM_SAMPLES))

    def damage(self, folder, sample):
        damage_file(folder, sample)

    @pytest.mark.parametrize("samples", [[4], [5, 4, 4]])
    def test_a_selection_may_repeat_samples(self, source, samples):
        assert self.read(source.select(np.array(samples)), range(len(samples))) == samples
