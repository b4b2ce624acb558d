"""Masks as colored pictures over an image."""

import numpy as np

from keras_oocore.plots.masks import FILL, classes_in, color_of, overlay


def test_classes_have_colors_and_opaque_outlines():
    mask = np.zeros((5, 5), np.uint8)
    mask[1:4, 1:4], mask[4] = 2, 255
    picture = overlay(mask)

    assert picture[0, 0].tolist() == [0, 0, 0, 0]
    assert picture[2, 2].tolist() == [*color_of(2), FILL]
    assert picture[1, 1].tolist() == [*color_of(2), 255]
    assert picture[4, 0, :3].tolist() == [128, 128, 128]
    assert classes_in(mask) == [2, 255]


def test_probabilities_are_more_opaque_where_they_are_larger():
    picture = overlay(np.array([[0.0, 0.2, 0.45, np.nan]]))

    assert picture[0, :, 3].tolist() == [0, 32, 72, 0]
    assert classes_in(np.array([[0.2]])) == []
    assert overlay(np.array([[True, False]]))[0, :, 3].tolist() == [255, 0]
