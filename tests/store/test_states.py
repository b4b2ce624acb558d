"""The states of rows while a store is filled."""

import numpy as np
import pytest

from keras_oocore.store.states import RowStates


@pytest.mark.parametrize("rows", [[1, 2, 4], [4, 2, 1], [1, 1, 2, 4], [4, 1, 2, 1]])
def test_each_row_counts_once_however_often_it_is_named(rows):
    states = RowStates(np.zeros(6, np.uint8))
    states.mark(np.array(rows), 1)
    assert (states.num_missing, states.array.tolist()) == (3, [0, 1, 1, 0, 1, 0])
    assert states.pop_unsynced()[0] == slice(1, 5)
    states.mark(np.array(rows), 0)
    assert states.num_missing == 6
