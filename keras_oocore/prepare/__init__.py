"""Prepares a dataset once before training: flatten, shuffle, split, save and zip."""

from keras_oocore.prepare.arrays import load_arrays, save_arrays, shuffle_arrays, split_arrays
from keras_oocore.prepare.flatten import flatten_images
from keras_oocore.prepare.zip import unzip_folder, zip_folder

__all__ = [
    "flatten_images",
    "load_arrays",
    "save_arrays",
    "shuffle_arrays",
    "split_arrays",
    "unzip_folder",
    "zip_folder",
]
