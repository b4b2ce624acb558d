"""Labels that are probably a mistake: files, classes without samples, and one class per sample."""

import warnings

import numpy as np
import pytest
from drawing import SIZE, draw
from trees import make_tree

import keras_oocore as ko
from keras_oocore.manifest.label_checks import empty_classes
from keras_oocore.manifest.manifest import Manifest


@pytest.fixture
def scans(in_tmp_path):
    """Names of 24 images and of their masks, in the working directory."""
    names = [f"{number}.png" for number in range(24)]
    make_tree(in_tmp_path, *(f"images/{name}" for name in names), *(f"masks/{name}" for name in names))
    return [f"images/{name}" for name in names], [f"masks/{name}" for name in names]


def test_labels_that_name_files_are_refused(scans, in_tmp_path):
    images, masks = scans
    words = r"they are names of existing files, such as 'masks/0.png'.*label_mode=\"raw\""
    with pytest.raises(ko.OptionError, match=words):
        ko.ImageFolderSequence(images, labels=masks, image_size=SIZE)
    with pytest.raises(ko.OptionError, match=words):
        ko.NpyManifestSequence(images, labels=np.array(masks), reader=np.loadtxt)
    with pytest.raises(ko.OptionError, match=words):
        Manifest.from_arrays(images, masks)
    with pytest.raises(ko.OptionError, match=words):
        Manifest.from_directory("images", labels=masks)
    with pytest.raises(ko.OptionError, match=words):
        ko.ArraySequence(np.zeros((24, 2)), labels=masks)
    names = [mask.removeprefix("masks/") for mask in masks]
    with pytest.raises(ko.OptionError, match=r"existing files, such as '0\.png'"):
        Manifest.from_arrays(names, names, directory=in_tmp_path / "masks")
    lines = [f"{image},{mask}" for image, mask in zip(images, masks)]
    (in_tmp_path / "train.csv").write_text("\n".join(["filename,class", *lines]))
    with pytest.raises(ko.OptionError, match=words):
        Manifest.from_csv("train.csv")


def test_names_of_classes_are_not_taken_for_files(scans, in_tmp_path):
    images, _ = scans
    (in_tmp_path / "cat").mkdir()
    (in_tmp_path / "dog").write_text("a file that happens to have the name of a class")
    labels = ["cat", "dog", "bad\0name"] * 8

    assert Manifest.from_arrays(images, labels).class_names == ["bad\0name", "cat", "dog"]


def test_masks_in_one_array_are_targets(in_tmp_path):
    """What the message about names of files says."""
    for number in range(3):
        draw(in_tmp_path / f"{number}.png", number)
    np.save("masks.npy", np.arange(3 * 4 * 5, dtype="uint8").reshape(3, 4, 5))
    images = ko.ImageFolderSequence(
        [f"{number}.png" for number in range(3)],
        labels=np.load("masks.npy", mmap_mode="r"),
        label_mode="raw",
        image_size=SIZE,
        shuffle=False,
    )

    assert images[0][1].tolist() == np.load("masks.npy").tolist()


def test_as_many_classes_as_samples_warn_from_20_samples_on():
    rows = np.zeros((25, 2))
    for labels, mode in ((np.arange(25), "int"), ([f"image {i}" for i in range(25)], "raw")):
        with pytest.warns(UserWarning, match=r"as many classes as samples: each of the 25 samples"):
            ko.ArraySequence(rows, labels=labels, label_mode=mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ko.ArraySequence(rows, labels=np.arange(25), label_mode="raw")
        ko.ArraySequence(rows, labels=[*range(24), 0], label_mode="int")
        ko.ArraySequence(rows[:19], labels=np.arange(19), label_mode="int")


ONE_BASED = (
    "1 of 4 classes without samples: 0. .* model needs 4 outputs. If the classes are numbered from 1, subtract 1"
)


def test_classes_numbered_from_1_warn_once_whatever_the_source(photos, in_tmp_path):
    names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))[:9]
    labels = [1, 2, 3] * 3
    lines = [f"{name},{label}" for name, label in zip(names, labels)]
    (photos / "train.csv").write_text("\n".join(["filename,class", *lines]))
    np.save("labels.npy", np.array(labels)[:, np.newaxis].astype("float32"))
    sources = [
        lambda: ko.ImageFolderSequence(Manifest.from_csv(photos / "train.csv")),
        lambda: ko.ImageFolderSequence(names, labels=labels, directory=photos),
        lambda: ko.ImageFolderSequence(names, labels="labels.npy", directory=photos, label_mode="categorical"),
        lambda: ko.ArraySequence(np.zeros((9, 2)), labels=labels, label_mode="int"),
        lambda: ko.ArraySequence(np.zeros((9, 2)), labels=np.eye(4)[labels], label_mode="int"),
        lambda: ko.ArraySequence(np.zeros((9, 2)), labels=labels, label_mode="int").split(0.3)[0],
    ]
    for make in sources:
        with pytest.warns(UserWarning, match=ONE_BASED) as warned:
            make()
        assert len(warned) == 1
        assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ko.ArraySequence(np.zeros((9, 2)), labels=labels)
        ko.ImageFolderSequence(names, labels=labels, directory=photos, label_mode="raw")


def test_class_names_without_samples_warn_once(photos):
    names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    class_names = ["ant", "bee", "cat", "dog"]
    labels = [name.split("/")[0] for name in names]
    sources = [
        lambda: ko.ImageFolderSequence(names, labels=labels, class_names=class_names, directory=photos),
        lambda: ko.ImageFolderSequence(photos, class_names=class_names),
        lambda: ko.ArraySequence(np.zeros((10, 2)), labels=labels, class_names=class_names, label_mode="int"),
    ]
    for make in sources:
        with pytest.warns(UserWarning, match="1 of 4 classes without samples: 'dog'. .* needs 4 outputs.$") as warned:
            make()
        assert len(warned) == 1


def test_summary_shows_classes_without_samples():
    summary = Manifest.from_arrays(["a", "b", "c"], [1, 3, 3]).summary()
    assert "labels: 1 to 3, without samples: 0, 2" in summary
    assert "labels: 0 to 1\n" in Manifest.from_arrays(["a", "b"], [0, 1]).summary()
    with pytest.warns(UserWarning, match="without samples: 'b'"):
        summary = Manifest.from_arrays(["a", "b"], ["a", "c"], class_names=["a", "b", "c"]).summary()
    assert "classes without samples: 'b'" in summary
    assert "without samples" not in Manifest.from_arrays(["a", "b"], ["a", "c"]).summary()
    for labels in (None, [0.5, 1.5], [-1, 3], [[0, 1, 1], [1, 1, 0]]):
        assert "without samples" not in Manifest.from_arrays(["a", "b"], labels).summary()


def test_empty_classes_of_large_labels_need_no_large_array():
    count, first = empty_classes(np.array([2, 2**31 - 2], np.int32), 2**31 - 1)
    assert (count, first) == (2**31 - 3, [0, 1, *range(3, 11)])
    assert empty_classes(np.arange(5), 5) == (0, [])
