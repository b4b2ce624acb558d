"""A few cases of a product of parameters for `make test`, and the others for `make soak`."""

import itertools

import pytest


def few_of_product(names, few, *values):
    """Parametrize a test with a product of values, of which most cases are left to `make soak`.

    Args:
        names: Names of the arguments of the test, separated by commas.
        few: The cases that always run, as tuples. Each value should be in one of them.
        *values: The values of each argument.
    """
    product = [*itertools.product(*values)]
    assert [case for case in few if case not in product] == []
    for column, of_argument in zip(zip(*few), values, strict=True):
        assert [value for value in of_argument if value not in column] == []
    return pytest.mark.parametrize(
        names, [case if case in few else pytest.param(*case, marks=pytest.mark.soak) for case in product]
    )
