"""Files that may be damaged: `doubtful_samples`, the warning, `strict=True`, and what caches remember."""

import warnings

import pytest
from image_files import card, encoded

import keras_oocore as ko
from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.images import codecs

pytestmark = pytest.mark.skipif(codecs.simplejpeg is None, reason="simplejpeg is not installed")
REASON = "Corrupt JPEG data: premature end of data segment"
DAMAGED = (1, 4, 5)


@pytest.fixture
def folder(tmp_path):
    """Eight photos, three of which were cut and ended."""
    for number in range(8):
        data = encoded(card(60 + number, 90))
        if number in DAMAGED:
            data = data[: len(data) * 2 // 3] + b"\xff\xd9"
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "photos"


def opened(folder, **options):
    return ko.ImageFolderSequence(folder, image_size=8, batch_size=2, shuffle=False, workers=0, **options)


def listed(folder):
    """In the order of the samples, class by class."""
    names = ["a/4.jpg", "b/1.jpg", "b/5.jpg"]
    return [(str(folder / name), REASON) for name in names]


def test_doubtful_samples_are_read_listed_and_warned_of_once(folder):
    sequence = opened(folder)
    assert sequence.doubtful_samples == []
    with pytest.warns(UserWarning, match=r"a/4\.jpg' may be damaged: Corrupt JPEG data: .* pass strict=True") as warned:
        batches = list(sequence)
    assert sum(len(x) for x, _ in batches) == 8
    assert len(warned) == 1
    assert sequence.doubtful_samples == listed(folder)
    assert sequence.bad_samples == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(sequence)


def test_doubtful_sample_is_forgotten_when_its_file_is_replaced(folder):
    sequence = opened(folder)
    with pytest.warns(UserWarning, match="may be damaged"):
        list(sequence)
    (folder / "a" / "4.jpg").write_bytes(encoded(card()))
    list(sequence)
    assert sequence.doubtful_samples == listed(folder)[1:]


def test_strict_sequence_treats_doubtful_samples_as_unreadable(folder):
    with pytest.raises(SampleError, match=rf"a/4\.jpg': damaged: {REASON}"):
        list(opened(folder, strict=True))
    sequence = opened(folder, strict=True, on_error="skip")
    assert sum(len(x) for x, _ in sequence) == 5
    assert sequence.bad_samples == [(path, f"damaged: {reason}") for path, reason in listed(folder)]
    assert sequence.doubtful_samples == []


def test_cache_and_packed_store_remember_doubtful_samples(folder, tmp_path, monkeypatch):
    with pytest.warns(UserWarning, match="may be damaged"), opened(folder, cache=tmp_path / "cache") as sequence:
        expected = [x.tobytes() for x, _ in sequence]
    monkeypatch.setattr(codecs, "simplejpeg", None)
    with pytest.warns(UserWarning, match=r"a/4\.jpg' and 2 more may be damaged: Corrupt JPEG data"):
        again = opened(folder, cache=tmp_path / "cache")
    with again:
        assert [x.tobytes() for x, _ in again] == expected
        assert again.doubtful_samples == listed(folder)
    names = [(name, REASON) for name in ("a/4.jpg", "b/1.jpg", "b/5.jpg")]
    packed = ko.open_packed(tmp_path / "cache", shuffle=False)
    assert packed.doubtful_samples == names
    _, val = packed.split(validation_split=0.5)
    assert val.doubtful_samples == [pair for pair in names if pair[0] in val.manifest.filenames.tolist()]


def test_unfinished_cache_remembers_doubtful_samples(folder, tmp_path):
    with pytest.warns(UserWarning, match="may be damaged"), opened(folder, cache=tmp_path / "cache") as sequence:
        sequence[0], sequence[1]
    with pytest.warns(UserWarning, match=r"a/4\.jpg' may be damaged"):
        again = opened(folder, cache=tmp_path / "cache")
    assert again.doubtful_samples == listed(folder)[:1]
    again.close()


def test_cache_of_doubtful_samples_is_refused_when_strict(folder, tmp_path):
    with pytest.warns(UserWarning, match="may be damaged"), opened(folder, cache=tmp_path / "cache") as sequence:
        list(sequence)
    with pytest.raises(DataError, match=r"strict was False, is True\. Pass overwrite_cache=True"):
        opened(folder, cache=tmp_path / "cache", strict=True)


def test_partitions_list_their_own_doubtful_samples(folder):
    parts = opened(folder).partition(2)
    with pytest.warns(UserWarning, match="may be damaged"):
        list(parts[0])
    list(parts[1])
    assert [part.doubtful_samples for part in parts] == [listed(folder)[:1], listed(folder)[1:]]
