"""`ko.augment`: what each operation does, and that an image is changed alike whatever surrounds it."""

import itertools
import pickle

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.augmentation.draws import Stream, uniform
from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.batches.transform import Draws
from keras_oocore.core.errors import OptionError
from keras_oocore.core.fingerprint import described
from keras_oocore.images import codecs
from keras_oocore.sources.base import RowSpec

EVERYTHING = dict(
    flip="horizontal_and_vertical",
    rotation=0.1,
    zoom=0.2,
    translation=0.1,
    shear=0.1,
    crop=0.5,
    brightness=0.2,
    contrast=0.3,
    saturation=(0.3, 0.7),
    hue=0.2,
    grayscale=0.2,
    blur=0.5,
    noise=0.05,
    erase=0.5,
)
NUM = 24


def images_of(num=NUM, height=12, width=16, channels=3):
    rng = np.random.default_rng(0)
    smooth = rng.integers(60, 190, (num, 1, 1, channels)) + rng.integers(-40, 40, (num, height, width, channels))
    smooth[:, 0, 0, 0] = np.arange(num)  # tells which image it was, if nothing changes
    return smooth.astype(np.uint8)


IMAGES = images_of()
ONE_HOT = np.eye(4, dtype="float32")[np.arange(NUM) % 4]


def sequence_of(images=IMAGES, **options):
    return ko.ArraySequence(images, **{"labels": None, "batch_size": 6, "seed": 3, "shuffle": False, **options})


def changed(images=IMAGES, epoch=0, labels=None, options=None, **factors):
    """The images of an epoch, in their order."""
    sequence = sequence_of(images, labels=labels, transform=ko.augment(**factors), **(options or {}))
    for _ in range(epoch):
        list(sequence)
    batches = list(sequence)
    if labels is None:
        return np.concatenate(batches)
    return tuple(np.concatenate(parts) for parts in zip(*batches))


def test_an_image_is_changed_alike_in_any_batch_worker_part_and_process():
    expected = changed(**EVERYTHING)
    transform = ko.augment(**EVERYTHING)

    assert len(np.unique(expected.reshape(NUM, -1), axis=0)) == NUM
    for options in (dict(batch_size=1), dict(batch_size=NUM, workers=0), dict(workers=3)):
        np.testing.assert_array_equal(changed(options=options, **EVERYTHING), expected)
    parts = sequence_of(transform=transform).partition(2)
    np.testing.assert_array_equal(np.concatenate([*itertools.chain(*parts)]), expected)
    shards = [[*sequence_of(transform=transform).shard(index, 3)] for index in range(3)]
    np.testing.assert_array_equal(np.concatenate([*itertools.chain(*zip(*shards))]), expected)
    assert (changed(epoch=1, **EVERYTHING) != expected).any(axis=(1, 2, 3)).all()
    assert (changed(options=dict(seed=4), **EVERYTHING) != expected).any(axis=(1, 2, 3)).all()


def test_a_resumed_sequence_changes_the_rest_alike():
    transform = ko.augment(**EVERYTHING, mixup=0.2, cutmix=1.0)
    options = dict(labels=ONE_HOT, label_mode="raw", transform=transform, shuffle=True)
    whole = [*sequence_of(**options)]
    first = sequence_of(**options)
    loop = iter(first)
    next(loop)
    second = sequence_of(**{**options, "transform": pickle.loads(pickle.dumps(transform))})
    second.load_state_dict(first.state_dict())

    for (x, y), (expected_x, expected_y) in zip([*second], whole[1:], strict=True):
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)


def test_state_names_the_factors():
    assert described(ko.augment(flip="horizontal")) == described(ko.augment(flip="horizontal"))
    assert described(ko.augment(flip="horizontal")) != described(ko.augment(flip="vertical"))
    assert repr(ko.augment(flip="horizontal", zoom=(0, 0.5))) == "augment(flip='horizontal', zoom=(0, 0.5))"


def test_operations_do_not_change_what_the_others_draw():
    flipped, both = changed(flip="horizontal"), changed(flip="horizontal", brightness=(0.1, 0.1))

    np.testing.assert_allclose(both, np.clip(flipped + 25.5, 0, 255), atol=0.51)


def test_nothing_changes_without_factors():
    np.testing.assert_array_equal(changed(), IMAGES)


@pytest.mark.parametrize("opencv", [True, False])
def test_half_of_the_images_are_flipped(opencv, monkeypatch):
    if not opencv:
        monkeypatch.setattr(codecs, "cv2", None)
    images = images_of(400)
    flipped = changed(images, flip="horizontal_and_vertical", options=dict(batch_size=400))

    kinds = [
        [np.array_equal(new, old[::rows, ::columns]) for rows, columns in itertools.product((1, -1), repeat=2)]
        for new, old in zip(flipped, images)
    ]
    assert all(sum(kind) == 1 for kind in kinds)
    assert (np.sum(kinds, axis=0) > 70).all()  # 100 are expected


def test_a_quarter_turn_is_counter_clockwise():
    square = images_of(3, 16, 16)

    turned = changed(square, rotation=(0.25, 0.25), options=dict(batch_size=3))

    np.testing.assert_allclose(turned.astype(int), np.rot90(square, axes=(1, 2)), atol=1)


def test_positive_zoom_zooms_out_and_positive_translation_moves_right_and_down():
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4] = 200
    out = changed(image, zoom=(1, 1), fill_mode="constant")
    into = changed(image, zoom=(-0.5, -0.5), fill_mode="constant")
    moved = changed(image, translation=(2 / 9, 2 / 9), fill_mode="constant", fill_value=7)

    assert (out > 0).sum() == 1
    assert (into > 0).sum() == 9
    np.testing.assert_allclose(moved[0, 2:, 2:], image[0, :-2, :-2], atol=1)
    assert (moved[0, :2] == 7).all()
    assert (moved[0, :, :2] == 7).all()


def test_shear_moves_pixels_by_a_share_of_their_distance_from_the_center():
    image = np.zeros((1, 21, 21, 1), np.uint8)
    image[0, :, 10] = 200  # a vertical line
    sheared = changed(image, shear=(0.2, 0.2), fill_mode="constant")[0, ..., 0]

    top, bottom = sheared[2].argmax(), sheared[18].argmax()
    assert abs(top - bottom) in (3, 4)


def test_a_crop_of_whole_pixels_is_a_part_of_the_image():
    cropped = changed(crop=(5, 7))

    assert cropped.shape == (NUM, 5, 7, 3)
    places = {
        (top, left)
        for new, old in zip(cropped, IMAGES)
        for top, left in itertools.product(range(8), range(10))
        if np.array_equal(new, old[top : top + 5, left : left + 7])
    }
    assert len(places) > 12  # of 80 places
    np.testing.assert_array_equal(changed(crop=(12, 16)), IMAGES)


def test_a_crop_by_area_is_resized_to_the_image():
    rows, columns = np.mgrid[0:200, 0:300]
    image = np.stack([rows, columns / 2, 0 * rows], axis=-1).astype(np.float32)
    images = np.broadcast_to(image, (50, 200, 300, 3))

    cropped = changed(images, crop=(0.25, 0.5), options=dict(batch_size=50))

    heights, widths = np.ptp(cropped[..., 0], axis=(1, 2)) + 1, 2 * np.ptp(cropped[..., 1], axis=(1, 2)) + 1
    area, aspect = heights * widths / 60_000, widths / heights
    assert ((area > 0.24) & (area < 0.51)).all()
    assert ((aspect > 0.74) & (aspect < 1.35)).all()
    assert np.ptp(area) > 0.15
    assert cropped[..., 0].min() < 20
    assert cropped[..., 0].max() > 180


def test_colors_are_those_of_keras():
    image = images_of(1)
    mean = image.mean(axis=(1, 2), keepdims=True)

    np.testing.assert_allclose(changed(image, brightness=(-0.1, -0.1)), np.clip(image - 25.5, 0, 255), atol=1)
    np.testing.assert_array_equal(changed(image, contrast=(0.0, 0.0)), image)
    low = changed(image, contrast=(1.0, 0.0))[0].astype(float)
    factor = np.median((low - mean[0])[3:] / (image[0] - mean[0])[3:])
    assert 0 <= factor <= 1
    np.testing.assert_allclose(low, mean[0] + factor * (image[0] - mean[0]), atol=2)


def test_gray_images_have_the_luma_of_keras():
    luma = IMAGES @ np.array([0.299, 0.587, 0.114])

    for factors in (dict(grayscale=1.0), dict(saturation=(0.0, 0.0))):
        np.testing.assert_allclose(changed(**factors), np.repeat(luma[..., np.newaxis], 3, axis=-1), atol=0.6)
    np.testing.assert_array_equal(changed(saturation=(0.5, 0.5)), IMAGES)


def test_hue_keeps_gray_and_luma_and_turns_colors():
    gray = np.repeat(IMAGES[..., :1], 3, axis=-1)
    np.testing.assert_allclose(changed(gray, hue=1.0), gray, atol=1)
    floats = np.random.default_rng(0).uniform(0.4, 0.6, (4, 5, 5, 3)).astype("float32")
    turned = changed(floats, hue=(1.0, 1.0), value_range=(0, 1))
    luma = np.array([0.299, 0.587, 0.114])

    np.testing.assert_allclose(turned @ luma, floats @ luma, atol=1e-5)
    np.testing.assert_allclose(turned - (turned @ luma)[..., None], (floats @ luma)[..., None] - floats, atol=1e-5)


def test_alpha_does_not_change():
    images = images_of(4, channels=4)
    changes = changed(images, brightness=(0.2, 0.2), saturation=(0.1, 0.1), hue=0.5, contrast=0.5)

    np.testing.assert_array_equal(changes[..., 3], images[..., 3])
    assert (changes[..., :3] != images[..., :3]).any()


def test_noise_has_the_standard_deviation_of_its_factor():
    images = np.full((4, 64, 64, 3), 128, np.uint8)
    noise = changed(images, noise=0.05).astype(float) - 128

    assert noise.std() == pytest.approx(0.05 * 255, rel=0.02)
    assert abs(noise.mean()) < 0.2


def test_erased_rectangles_have_a_part_of_the_image():
    images = np.full((60, 30, 40, 1), 128, np.uint8)
    erased = changed(images, erase=1.0, options=dict(batch_size=60))[..., 0] != 128
    share = erased.mean(axis=(1, 2))

    assert (share.max(), share.min()) < (0.36, 0.04)
    assert share.min() > 0.01
    for mask in erased:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.97
    assert 15 < (changed(images, erase=0.5, options=dict(batch_size=60)) != 128).any(axis=(1, 2, 3)).sum() < 45


def test_a_blurred_image_has_the_same_mean_and_less_detail():
    blurred = changed(blur=1.0)

    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), IMAGES.mean(axis=(1, 2)), atol=1.5)
    assert (
        np.abs(np.diff(blurred.astype(int), axis=1)).mean() < 0.7 * np.abs(np.diff(IMAGES.astype(int), axis=1)).mean()
    )


@pytest.mark.parametrize("factors", [*({name: value} for name, value in EVERYTHING.items())], ids=str)
def test_results_without_opencv_differ_by_one_level(factors, monkeypatch):
    expected = changed(**factors)
    monkeypatch.setattr(codecs, "cv2", None)

    assert np.abs(changed(**factors).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("factors", [*({name: value} for name, value in EVERYTHING.items())], ids=str)
def test_float_images_are_changed_as_bytes_are(factors):
    expected = changed(**factors) / 255
    rescaled = changed(options=dict(rescale=1 / 255), **factors)

    assert rescaled.dtype == np.float32
    np.testing.assert_allclose(rescaled, expected, atol=1.1 / 255)


def test_channels_may_be_first():
    options = BatchOptions(data_format="channels_first", transform=ko.augment(**EVERYTHING))
    transform = BatchFormat(RowSpec((12, 16, 3), np.dtype(np.uint8)), options).transform
    first, _ = transform.apply(np.moveaxis(IMAGES, -1, 1).copy(), None, Draws(3, 0, 0, np.arange(NUM), str))

    assert first.shape == (NUM, 3, 12, 16)
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), changed(**EVERYTHING))


def test_mixup_mixes_images_and_labels_alike():
    images = np.repeat(np.float32([0, 100] * 12), 12).reshape(NUM, 2, 2, 3)
    labels = np.eye(2, dtype="float32")[np.arange(NUM) % 2]
    x, y = changed(images, labels=labels, mixup=1.0, options=dict(label_mode="raw"))

    np.testing.assert_allclose(x, np.broadcast_to(100 * y[:, 1].reshape(-1, 1, 1, 1), x.shape), atol=1e-3)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    assert len(np.unique(y[:, 0])) == NUM


def test_cutmix_labels_are_the_shares_of_the_images():
    images = np.zeros((NUM, 10, 20, 1), np.uint8)
    images[1::2] = 100
    labels = np.eye(2, dtype="float32")[np.arange(NUM) % 2]
    x, y = changed(images, labels=labels, cutmix=1.0, options=dict(label_mode="raw"))

    np.testing.assert_allclose((x == 100).mean(axis=(1, 2, 3)), y[:, 1], atol=1e-6)
    assert len(np.unique(y[:, 0])) > 10
    x, y = changed(images, labels=labels, cutmix=1.0, mixup=1.0, options=dict(label_mode="raw"))
    assert {(set(np.unique(image)) <= {0, 100}) for image in x} == {True, False}


def test_the_last_image_of_an_odd_batch_does_not_mix_and_shards_have_whole_pairs():
    options = dict(batch_size=8, label_mode="raw")
    x, y = changed(IMAGES[:21], labels=ONE_HOT[:21], mixup=1.0, options=options)
    np.testing.assert_array_equal(x[20], IMAGES[20])
    np.testing.assert_array_equal(y[20], ONE_HOT[20])

    transform = ko.augment(mixup=1.0)
    whole = sequence_of(labels=ONE_HOT, transform=transform, **options)
    expected = np.concatenate([x for x, _ in whole])
    shards = [[x for x, _ in sequence_of(labels=ONE_HOT, transform=transform, **options).shard(i, 4)] for i in range(4)]
    np.testing.assert_array_equal(np.concatenate([*itertools.chain(*zip(*shards))]), expected)
    with pytest.raises(OptionError, match="even number of images per batch and process"):
        whole.shard(0, 8)


def test_shards_of_a_padded_batch_mix_no_image_with_a_copy():
    """The last batch has 5 of 8 images. The fifth has no neighbor in one process either."""
    options = dict(images=IMAGES[:21], labels=ONE_HOT[:21], batch_size=8, label_mode="raw", last_batch="pad")
    whole, *shards = (
        [*(sequence_of(transform=ko.augment(mixup=1.0, cutmix=1.0), **options).shard(index, num_shards))]
        for index, num_shards in [(0, 1), (0, 4), (1, 4), (2, 4), (3, 4)]
    )

    for batch, *parts in zip(whole, *shards, strict=True):
        x, y, weight = (np.concatenate(arrays) for arrays in zip(*parts))
        np.testing.assert_array_equal(weight, batch[2])
        np.testing.assert_array_equal(x[weight > 0], batch[0][weight > 0])
        np.testing.assert_array_equal(y[weight > 0], batch[1][weight > 0])
    np.testing.assert_array_equal(x[4], IMAGES[20])
    assert weight.tolist() == pytest.approx([8 / 5] * 5 + [0] * 3)


@pytest.mark.parametrize("labels", [None, np.arange(NUM)])
def test_labels_that_cannot_be_mixed_are_refused(labels):
    with pytest.raises(OptionError, match='label_mode="categorical"'):
        changed(labels=labels, mixup=0.2)


def test_transforms_in_a_list_follow_one_another_and_draw_their_own_numbers():
    flip = ko.augment(flip="horizontal")
    lists = [[flip], [flip, flip], [lambda x, y, rng: (x // 2, y), flip]]
    once, twice, halved = (np.concatenate(list(sequence_of(transform=transforms))) for transforms in lists)

    np.testing.assert_array_equal(once, changed(flip="horizontal"))
    flipped = (twice != IMAGES).any(axis=(1, 2, 3))
    assert 0 < flipped.sum() < NUM
    assert (flipped != (once != IMAGES).any(axis=(1, 2, 3))).any()
    assert halved.max() <= 127


def test_a_transform_after_a_crop_has_its_size():
    cropped = changed(crop=(6, 8))
    turned = np.concatenate(list(sequence_of(transform=[ko.augment(crop=(6, 8)), ko.augment(rotation=(0.5, 0.5))])))

    assert turned.shape == cropped.shape
    np.testing.assert_allclose(turned.astype(int), cropped[:, ::-1, ::-1], atol=1)


def test_gray_images_need_no_range_of_values():
    floats = np.random.default_rng(0).normal(0, 9, (6, 5, 5, 3)).astype("float32")
    luma = floats @ np.array([0.299, 0.587, 0.114])

    np.testing.assert_allclose(changed(floats, grayscale=1.0), np.repeat(luma[..., np.newaxis], 3, axis=-1), atol=1e-4)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        (dict(flip="left"), "`flip` should be"),
        (dict(rotation=2), "`rotation` should be from -1 to 1"),
        (dict(rotation=20), "from -1 to 1. It is in full turns: 20 degrees are 20/360. Received: rotation=20"),
        (dict(zoom=(0.2, 0.1)), "the smaller number first"),
        (dict(zoom="0.1"), "`zoom` should be a number"),
        (dict(translation=(1, 2, 3)), "a tuple of two numbers"),
        (dict(brightness=float("nan")), "`brightness` should be a number"),
        (dict(saturation=1.5), "`saturation` should be from 0 to 1"),
        (dict(contrast=-0.5), "`contrast` should be from 0 to 1"),
        (dict(crop=(0, 10)), "1 or more pixels"),
        (dict(crop=0.0), "an area of more than 0"),
        (dict(crop=(0.5, 1.5)), "`crop` should be from 0 to 1"),
        (dict(erase=2), "`erase` should be from 0 to 1"),
        (dict(noise=-1), "`noise` should be 0 or more"),
        (dict(mixup=True), "`mixup` should be a number"),
        (dict(fill_mode="black"), "`fill_mode` should be"),
        (dict(value_range=(1, 0)), "the lowest and the highest value"),
    ],
    ids=str,
)
def test_factors_are_checked(factors, words):
    with pytest.raises(OptionError, match=words):
        ko.augment(**factors)


def test_samples_that_are_not_such_images_are_refused_by_the_sequence():
    for samples, options, factors, words in (
        (np.zeros((4, 7)), {}, dict(flip="horizontal"), r"requires images of shape \(height, width, channels\)"),
        (np.zeros((4, 8, 8, 3)), {}, dict(flip="horizontal"), 'dtype="float32"'),
        (np.zeros((4, 8, 8, 3), "float32"), {}, dict(brightness=0.1), r"value_range=\(0, 1\)"),
        (IMAGES, {}, dict(brightness=0.1, value_range=(0, 1)), "uint8 images are from 0 to 255"),
        (IMAGES, {}, dict(crop=(13, 16)), "larger than the images"),
        (images_of(channels=1), {}, dict(hue=0.1), "`hue` requires RGB images. Received: images of 1 channels"),
    ):
        with pytest.raises(OptionError, match=words):
            sequence_of(samples, transform=ko.augment(**factors), **options)


def test_draws_are_uniform_and_independent():
    keys = Draws(7, 2, 0, np.arange(20_000), str).keys()
    drawn = np.array([uniform(keys, stream) for stream in Stream])

    assert len(set(Stream)) == len(Stream) == len(np.unique(drawn[:, 0]))
    assert (drawn.min() >= 0) & (drawn.max() < 1)
    counts = np.array([np.histogram(values, 20, (0, 1))[0] for values in drawn])
    assert ((counts - 1000) ** 2 / 1000).sum(axis=1).max() < 55  # chi-square of 19 degrees; 1 in 10^5 is above 58
    correlation = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(correlation).max() < 0.035
    following = [np.corrcoef(values[:-1], values[1:])[0, 1] for values in drawn]
    assert np.abs(following).max() < 0.035


def test_what_is_drawn_does_not_change_between_versions():
    keys = Draws(1, 0, 0, np.arange(2), str).keys()

    assert uniform(keys, Stream.ZOOM).tolist() == [0.8894018793267194, 0.14835398746670403]
    assert uniform(keys, Stream.FLIP_HORIZONTAL).tolist() == [0.5036753496869808, 0.966222063558749]
