"""BatchOptions: valid values, and the number of batches."""

import numpy as np
import pytest

from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.core.errors import OptionError
from keras_oocore.sources.base import RowSpec


def scaled(x):
    return x / 255


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batch_size", 0, r"`batch_size` should be a positive integer. Received: batch_size=0"),
        ("batch_size", -3, r"Received: batch_size=-3"),
        ("batch_size", 2.0, r"Received: batch_size=2.0"),
        ("batch_size", True, r"Received: batch_size=True"),
        ("batch_size", "8", r"Received: batch_size='8'"),
        (
            "on_error",
            "ignore",
            r"`on_error` should be one of 'raise', 'skip', 'replace'. Received: on_error='ignore'",
        ),
        ("last_batch", "fill", r"`last_batch` should be one of 'keep', 'drop', 'pad', 'pad_for_evaluation'. Rec"),
        (
            "data_format",
            "NHWC",
            r"`data_format` should be one of 'channels_last', 'channels_first'. Received: data_format='NHWC'",
        ),
        ("transform", "flip", r"`transform` should be a function. Received: transform='flip'"),
        ("transform", lambda x, y: (x, y), r"`transform` should be a function f\(x, y, rng\).* of \(x, y\)"),
        ("transform", scaled, r"Write: transform=lambda x, y, rng: \(scaled\(x\), y\)\. Received: a function of \(x\)"),
        ("transform", lambda x: x, r"Write: transform=lambda x, y, rng: \(f\(x\), y\)\. Received: a function of \(x\)"),
        ("dtype", "float33", r"`dtype` should be a NumPy dtype. Received: dtype='float33'"),
        ("dtype", "object", r"`dtype` should be .*Received: dtype='object'"),
        ("dtype", "str", r"`dtype` should be .*Received: dtype='str'"),
        ("rescale", "1/255", r"`rescale` should be a number, such as 1/255. Received: rescale='1/255'"),
        ("rescale", True, r"`rescale` should be a number, such as 1/255. Received: rescale=True"),
        ("rescale", [1, 2], r"`rescale` should be a number, such as 1/255. Received: rescale=\[1, 2\]"),
        ("shuffle", "yes", r"`shuffle` should be one of True, False, 'block'. Received: shuffle='yes'"),
    ],
)
def test_invalid_options_are_errors(option, value, message):
    with pytest.raises(OptionError, match=message):
        BatchFormat(RowSpec((2,), np.dtype("uint8")), BatchOptions(**{option: value}))


def test_functions_whose_signature_is_unknown_or_variable_pass():
    for function in (lambda *parts: parts[:2], lambda x, y, rng, strength=1: (x, y), min):
        assert BatchOptions(transform=function).transform is function


def test_seed_counts_as_passed_by_default():
    assert not BatchOptions(seed=3).seed_is_drawn


@pytest.mark.parametrize(("last_batch", "num_batches"), [("keep", 3), ("drop", 2)])
def test_num_batches(last_batch, num_batches):
    assert BatchOptions(batch_size=4, last_batch=last_batch).num_batches(10) == num_batches
    assert BatchOptions(batch_size=4, last_batch=last_batch).num_batches(8) == 2
