"""`ko.augment` with masks: labels of the height and width of the images move along."""

import itertools

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.augmentation import warp
from keras_oocore.core.errors import OptionError

MOVES = dict(
    flip="horizontal_and_vertical",
    rotation=0.1,
    zoom=0.2,
    translation=0.1,
    shear=0.1,
    crop=0.5,
    interpolation="nearest",
)
COLORS = dict(brightness=0.2, contrast=0.3, hue=0.2, blur=0.5, noise=0.05, erase=1.0)
NUM = 12


def masks_of(num=NUM, height=12, width=16):
    """Masks of 6 classes in blocks, which all differ."""
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 6, (num, height // 3, width // 4)), np.ones((3, 4), int)).astype("uint8")[..., None]


MASKS = masks_of()
IMAGES = np.repeat(40 * MASKS, 3, axis=-1)  # whose levels tell the class of each pixel


def sequence_of(transform, masks=MASKS, images=IMAGES, **options):
    options = {"batch_size": 4, "shuffle": False, "seed": 3, **options}
    return ko.ArraySequence(images, masks, label_mode="raw", transform=transform, **options)


def changed(transform, **options):
    return tuple(np.concatenate(parts) for parts in zip(*sequence_of(transform, **options)))


@pytest.mark.parametrize("fill_mode", ["reflect", "nearest", "wrap", "constant"])
def test_masks_move_exactly_as_their_images(fill_mode):
    x, y = changed(ko.augment(**MOVES, fill_mode=fill_mode))

    assert (y.dtype, y.shape) == (np.uint8, MASKS.shape)
    assert (y != MASKS).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(np.repeat(40 * y, 3, axis=-1), x)


@pytest.mark.parametrize("implementation", [warp.warped_by_pillow, warp.warped_by_numpy])
def test_masks_move_exactly_as_their_images_without_opencv(implementation, monkeypatch):
    monkeypatch.setattr(warp, "_implementation", lambda image: implementation)
    x, y = changed(ko.augment(**MOVES))

    np.testing.assert_array_equal(np.repeat(40 * y, 3, axis=-1), x)


def test_masks_of_bilinear_images_keep_their_classes():
    """The nearest of four pixels counts at least a quarter."""
    masks = MASKS % 2
    x, y = changed(
        ko.augment(**{**MOVES, "interpolation": "bilinear"}), masks=masks, images=np.repeat(200 * masks, 3, axis=-1)
    )
    certain = (x[..., :1] < 49) | (x[..., :1] > 151)

    assert np.unique(y).tolist() == [0, 1]
    assert 0.3 < certain.mean() < 1
    np.testing.assert_array_equal(y[certain], (x[..., :1] > 100)[certain])


def test_colors_noise_and_erasing_leave_masks_alone():
    x, y = changed(ko.augment(**COLORS))

    assert (x != IMAGES).any()
    np.testing.assert_array_equal(y, MASKS)


def test_outside_the_image_a_mask_has_class_0_and_not_the_fill_value():
    x, y = changed(ko.augment(translation=(0.25, 0.25), fill_mode="constant", fill_value=120))

    assert (x[:, :3] == 120).all()
    assert (y[:, :3] == 0).all()


def test_a_crop_in_pixels_crops_both():
    x, y = changed(ko.augment(crop=(6, 8), flip="horizontal"))

    assert (x.shape, y.shape) == ((NUM, 6, 8, 3), (NUM, 6, 8, 1))
    np.testing.assert_array_equal(np.repeat(40 * y, 3, axis=-1), x)


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float16"])
@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 1), (12, 16, 6)], ids=str)
def test_masks_of_any_dtype_and_number_of_channels_move(dtype, shape):
    expected = changed(ko.augment(**MOVES))[1]
    whole = np.equal(MASKS, np.arange(shape[-1])) if len(shape) == 3 else MASKS[..., 0]
    masks = (MASKS if shape[-1] == 1 else whole).astype(dtype)

    _, y = changed(ko.augment(**MOVES), masks=masks)

    assert (y.dtype, y.shape) == (masks.dtype, masks.shape)
    wanted = expected == np.arange(shape[-1]) if len(shape) == 3 and shape[-1] > 1 else expected.reshape(masks.shape)
    np.testing.assert_array_equal(y, wanted.astype(dtype))


def test_other_labels_stay():
    labels = np.arange(NUM * 12, dtype="float32").reshape(NUM, 12)  # as many as rows of pixels

    np.testing.assert_array_equal(changed(ko.augment(**MOVES), masks=labels)[1], labels)


def test_masks_in_a_dictionary_of_labels_move():
    def several(x, y, rng):
        return x, {"mask": y, "level": y[:, 0, 0]}

    batches = [*sequence_of([several, ko.augment(flip="horizontal")])]
    mirrored = np.concatenate([y["mask"] for _, y in batches])
    images = np.concatenate([x for x, _ in batches])

    np.testing.assert_array_equal(np.repeat(40 * mirrored, 3, axis=-1), images)
    np.testing.assert_array_equal(np.concatenate([y["level"] for _, y in batches]), MASKS[:, 0, 0])


def test_masks_move_alike_in_any_batch_worker_part_and_process():
    transform = ko.augment(**MOVES, **COLORS)
    expected = changed(transform)[1]

    for options in (dict(batch_size=1), dict(batch_size=NUM, workers=0), dict(workers=3)):
        np.testing.assert_array_equal(changed(transform, **options)[1], expected)
    parts = sequence_of(transform).partition(2)
    np.testing.assert_array_equal(np.concatenate([y for _, y in itertools.chain(*parts)]), expected)


def test_cutmix_copies_the_part_of_the_mask():
    x, y = changed(ko.augment(**MOVES, cutmix=1.0))

    assert (y != changed(ko.augment(**MOVES))[1]).any(axis=(1, 2, 3)).mean() > 0.5
    np.testing.assert_array_equal(np.repeat(40 * y, 3, axis=-1), x)


def test_mixup_of_classes_is_refused_and_that_of_shares_mixes_them():
    with pytest.raises(OptionError, match=r"`mixup` mixes two images in every pixel.*Use cutmix.*of dtype uint8"):
        changed(ko.augment(mixup=0.2))
    shares = np.equal(MASKS, np.arange(6)).astype("float32")
    x, y = changed(ko.augment(mixup=1.0, cutmix=1.0), masks=shares)

    np.testing.assert_allclose(y.sum(axis=-1), 1, atol=1e-6)
    assert ((y > 0) & (y < 1)).any()
    np.testing.assert_allclose(40 * (y * np.arange(6)).sum(axis=-1), x[..., 0], atol=0.51)


def test_the_last_mask_of_an_odd_batch_has_no_neighbor():
    _, y = changed(ko.augment(cutmix=1.0), batch_size=5)

    np.testing.assert_array_equal(y[[4, 9]], MASKS[[4, 9]])
