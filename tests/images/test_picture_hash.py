"""Signatures and hashes of pictures: what changes them, and what does not."""

import numpy as np
import pytest
from pictures import CHANGES, cut, picture
from PIL import Image

from keras_oocore.images.picture_hash import (
    CROPS,
    NUM_COEFFICIENTS,
    WHOLE,
    Crop,
    compared,
    grey_square,
    hashes,
    signatures,
    similarity,
)


def signature(image):
    return signatures(grey_square(np.asarray(image.convert("L")))[None])


def distance(first, second):
    return int(first[0] ^ second[0]).bit_count()


def alike(first, second, crop=WHOLE, mirrored=False):
    return float(similarity(compared(first, crop, mirrored), compared(second))[0])


ONE_SEED = pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 5))])


@ONE_SEED
@pytest.mark.parametrize("change", [name for name in CHANGES if name != "cropped"])
def test_changes_of_the_whole_picture_hardly_change_its_hash(change, seed):
    before, after = signature(picture(seed)), signature(CHANGES[change](picture(seed)))

    assert distance(hashes(before), hashes(after)) <= 8
    assert alike(before, after) > 0.93


@ONE_SEED
@pytest.mark.parametrize("crop", CROPS, ids=str)
def test_the_signature_of_a_crop_follows_from_that_of_the_whole_picture(crop, seed):
    whole, after = signature(picture(seed, 240, 320)), signature(cut(picture(seed, 240, 320), *crop))

    assert alike(whole, after, crop) > 0.93
    assert alike(whole, after, crop) > alike(whole, after)
    assert distance(hashes(whole, crop), hashes(after)) < distance(hashes(whole), hashes(after))


def test_the_signature_of_a_mirrored_picture_follows_exactly():
    whole, after = signature(picture(0)), signature(picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    assert alike(whole, after, mirrored=True) > 0.999
    assert distance(hashes(whole, mirrored=True), hashes(after)) <= 1


def test_mirroring_comes_before_the_crop():
    crop = Crop(left=0.05)
    mirrored = picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    assert alike(signature(picture(0)), signature(cut(mirrored, *crop)), crop, mirrored=True) > 0.95


def test_different_pictures_are_not_alike():
    all_of_them = np.concatenate([signature(picture(seed)) for seed in range(40)])
    first, second = np.triu_indices(40, 1)

    assert similarity(compared(all_of_them[first]), compared(all_of_them[second])).max() < 0.8


def test_one_color_has_a_signature_of_zeros():
    flat = signatures(np.full((2, 32, 32), 200, np.uint8))

    assert flat.shape == (2, NUM_COEFFICIENTS)
    assert flat.dtype == np.int8
    assert not flat.any()
    assert similarity(compared(flat[:1]), compared(flat[1:])).tolist() == [0.0]


def test_hashes_are_64_bits_of_which_half_are_set():
    found = hashes(np.concatenate([signature(picture(seed)) for seed in range(50)]))

    assert found.dtype == np.uint64
    shares = np.mean([(found >> np.uint64(bit)) & np.uint64(1) for bit in range(64)])
    assert 0.4 < shares < 0.6


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (31, 33), (32, 32), (300, 2)])
def test_pictures_of_any_size_become_a_square(shape):
    assert grey_square(np.full(shape, 9, np.uint8)).tolist() == [[9] * 32] * 32
