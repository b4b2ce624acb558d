"""Values are restored from JSON with every type and bit, and unsupported values are errors with their path."""

import collections
import enum
import json
import pickle
import random
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, MissingExtraError
from keras_oocore.training.state.plain_values import (
    MAX_DEPTH,
    NotPlainError,
    dtype_name,
    from_plain,
    named_dtype,
    to_plain,
)


def restored(value, name="v"):
    arrays = {}
    plain = json.loads(json.dumps(to_plain(value, arrays, name), allow_nan=False))
    assert all(key.startswith(name) for key in arrays)
    return from_plain(plain, arrays)


def assert_same(a, b):
    """Check that types, bits and the order of dictionaries are equal."""
    assert comparable(a) == comparable(b)


def comparable(value):
    """Return a value as nested tuples that can be compared."""
    kind = type(value)
    if isinstance(value, (np.ndarray, np.generic)):
        length = len(value) if isinstance(value, (str, bytes)) else None
        content = (value.dtype.char, value.dtype.str, value.dtype.name, value.shape, value.tobytes(), length)
    elif kind is float:
        content = struct.pack("d", value)
    elif kind is int:
        content = hex(value)
    elif kind is dict:
        content = tuple((comparable(key), comparable(item)) for key, item in value.items())
    elif kind in (list, tuple):
        content = tuple(comparable(item) for item in value)
    elif kind in (set, frozenset):
        content = tuple(sorted((comparable(item) for item in value), key=ascii))
    else:
        content = value
    return kind.__name__, content


TEXT = st.text(st.one_of(st.characters(), st.characters(categories=["Cs"])), max_size=5)  # including lone surrogates
MARKERS = st.sampled_from(["tuple", "set", "dict", "items", "array", "scalar", "float", "int", "str", "bytes", "v.0"])
SCALARS = st.one_of(
    st.builds(np.float32, st.floats(width=32)),
    st.builds(np.float64, st.floats()),
    st.builds(np.int8, st.integers(-128, 127)),
    st.builds(np.longlong, st.integers(-9, 9)),
    st.builds(np.bool_, st.booleans()),
    st.builds(np.complex64, st.complex_numbers(width=64)),
    st.builds(np.datetime64, st.integers(0, 9), st.just("25s")),
    st.builds(np.str_, TEXT),
    st.builds(np.bytes_, st.binary(max_size=5)),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, MARKERS, st.binary(max_size=5), SCALARS)
KEYS = st.recursive(
    LEAVES,
    lambda keys: st.one_of(st.tuples(keys), st.tuples(keys, keys), st.frozensets(keys, max_size=3)),
    max_leaves=4,
)
ARRAYS = st.builds(
    lambda numbers, dtype, shape: np.resize(np.array(numbers), shape).astype(dtype),
    st.lists(st.integers(0, 100), min_size=1, max_size=4),
    st.sampled_from(["<f4", ">f8", "|b1", "<q", "<U3", "|S2", "<M8[s]", "<c16", "bfloat16", "float8_e4m3fn"]).map(
        named_dtype
    ),
    st.sampled_from([(), (0,), (3,), (2, 2), (1, 0, 4)]),
)
VALUES = st.recursive(
    st.one_of(KEYS, ARRAYS),
    lambda values: st.one_of(
        st.lists(values, max_size=4),
        st.lists(values, max_size=3).map(tuple),
        st.sets(KEYS, max_size=4),
        st.dictionaries(TEXT, values, max_size=4),
        st.dictionaries(KEYS, values, max_size=4),
        st.dictionaries(MARKERS, values, max_size=2),
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_any_value_is_restored(value):
    assert_same(value, restored(value))


@settings(deadline=None, max_examples=100)
@given(VALUES)
def test_dictionary_that_looks_like_the_json_is_restored(value):
    plain = to_plain(value, {}, "v")
    assert_same(plain, restored(plain))


@pytest.mark.parametrize(
    "value",
    [
        *[float("nan"), -float("nan"), struct.unpack("d", b"\1\2\3\4\5\6\xf8\x7f")[0], float("inf"), -float("inf")],
        *[-0.0, 5e-324, 0.1, 1e308],
        *[2**63, 2**64, -(2**63) - 1, 10**5000, True, 1],
        *["\ud83d\ude00", "\U0001f600", "\udcff", "\0", ""],
        *[np.float64(0.1), np.str_("a\0"), np.bytes_(b"a\0"), np.longdouble(1) / 3, np.datetime64("NaT"), np.uint8(1)],
        *[named_dtype("bfloat16").type(3), named_dtype("int4").type(-3)],
        *[np.arange(6).reshape(2, 3).T, np.array(5.0), np.array(["a", "ü"])],
        *[{1: "a", "1": "b", (1, 2): [], None: (), b"": set()}, {"\ud83d\ude00": 1, "\U0001f600": 2}],
        *[{float("nan"): 1, np.float32(2): 2}, {(), frozenset([()])}],
        *[random.Random(0).getstate(), np.random.default_rng(0).bit_generator.state],
        np.random.RandomState(0).get_state(legacy=False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_easily_changed(value):
    assert_same(value, restored(value))


def test_order_of_keys_is_kept():
    assert [*restored({"b": 1, "a": 2})] == ["b", "a"]
    assert [*restored({2: 1, 1: 2})] == [2, 1]


def test_arrays_of_several_values_have_distinct_names():
    arrays = {"x.1": np.zeros(1)}
    plain = [to_plain([np.full(2, i), np.full(3, i)], arrays, "x") for i in range(3)]
    assert len(arrays) == 7
    assert arrays["x.1"].tolist() == [0]
    assert [from_plain(p, arrays)[1].tolist() for p in plain] == [[i] * 3 for i in range(3)]


# --- unsupported values ---------------------------------------------------------------------------------------------


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    pass


Pair = collections.namedtuple("Pair", "a b")
CONTAINS_ITSELF = [1]
CONTAINS_ITSELF.append({"me": CONTAINS_ITSELF})
TWICE = []
TWICE += [TWICE, TWICE]  # doubles at every level


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (sys.__stdout__, "a TextIOWrapper"),
        (print, "a builtin_function_or_method"),
        (lambda: 0, "a function"),
        (object(), "an object"),
        (Colour.RED, "a Colour"),
        (Text("a"), "a Text"),
        (Pair(1, 2), "a Pair"),
        (collections.OrderedDict(a=1), "an OrderedDict"),
        (collections.defaultdict(list), "a defaultdict"),
        (collections.deque(), "a deque"),
        (bytearray(), "a bytearray"),
        (1j, "a complex"),
        (np.array([None]), "a numpy array of dtype object"),
        (np.zeros(2, "f4,i4"), "a numpy array of dtype .*f4.*"),
        (np.ma.masked_array([1.0]), "a MaskedArray"),
        (np.void(b"ab"), "a void"),
        (type("Float", (np.float64,), {})(1), "a Float"),
        (CONTAINS_ITSELF, "a list that contains itself"),
        (TWICE, "a list that contains itself"),
    ],
)
def test_unsupported_value_is_an_error_with_its_path(value, what):
    arrays = {}
    with pytest.raises(NotPlainError, match=rf"^`state\['a'\]\[1\].*` is {what}\. Expected: None, bool"):
        to_plain({"a": [np.zeros(1), value]}, arrays, "state")
    assert arrays == {}


def test_unsupported_key_or_member_is_an_error_with_its_path():
    with pytest.raises(NotPlainError, match=r"^`state\[7\]\[\.\.\.\]\[0\]` is a Pair"):
        to_plain({7: {(Pair(1, 2),)}}, {}, "state")
    with pytest.raises(NotPlainError, match=r"^`state\[\.\.\.\]` is a Colour"):
        to_plain({Colour.RED: 1}, {}, "state")


def test_errors_can_be_pickled():
    error = pickle.loads(pickle.dumps(NotPlainError("`a` is a Pair.")))
    assert str(error) == "`a` is a Pair."
    assert isinstance(error, TypeError)


@pytest.mark.parametrize("around", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}])
def test_maximum_depth(around):
    value = np.float32(1)
    for _ in range(MAX_DEPTH):
        value = around(value)
    assert_same(value, restored(value))
    with pytest.raises(NotPlainError, match=r"nested deeper than 32\. Expected"):
        to_plain(around(value), {}, "v")


# --- malformed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plain",
    [
        *[{}, {"tuple": [], "set": []}, {"unknown": 1}, {"tuple": "ab"}, {"set": [[]]}, {"set": [1, 1]}],
        *[{"dict": []}, {"items": {}}, {"items": [[1]]}, {"items": ["ab"]}, {"items": [[1, 2], [1, 3]]}],
        *[
            {"items": [[[], 2]]},
            {"float": "7ff8"},
            {"float": 1.0},
            {"int": 1},
            {"int": "x"},
            {"str": "é"},
            {"str": "/w=="},
        ],
        *[{"bytes": "a"}, {"np.str": {}}, {"np.bytes": None}, {"array": "gone"}, {"array": []}],
        *[{"scalar": ["<f4", "00"]}, {"scalar": ["<f4", "00" * 8]}, {"scalar": ["O", "00" * 8]}, {"scalar": "ab"}],
        *[{"scalar": ["finfo", "00"]}, {"scalar": ["nothing", "00"]}, {"scalar": [1, "00"]}, {"scalar": ["<f4", 1]}],
        *[(1, 2), {1}, b"", {("tuple",): []}],
    ],
    ids=str,
)
def test_malformed_json_is_an_error(plain):
    with pytest.raises(DataError):
        from_plain([plain], {})


def test_deeply_nested_json_is_an_error():
    plain = []
    for _ in range(10_000):
        plain = [plain]
    with pytest.raises(DataError, match="too deep"):
        from_plain(plain, {})


def test_missing_array_is_an_error():
    with pytest.raises(DataError, match=r"The array 'a\.0' is missing"):
        from_plain({"tuple": [{"array": "a.0"}]}, {})


# --- dtypes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["<f4", ">f8", "|u1", "|b1", "<U5", "|S3", "<M8[25s]", "bfloat16", "float8_e5m2", "int4"]
)
def test_dtype_names(name):
    assert dtype_name(named_dtype(name)) == name


@pytest.mark.parametrize("name", ["O", "|V3", "<f4,<i4", "float32", "finfo", "", "<f3", "f4", "(2,)<f4"])
def test_unsupported_dtype_names_are_errors(name):
    with pytest.raises(DataError, match=r"no (plain )?dtype"):
        named_dtype(name)


def test_only_ml_dtypes_require_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert_same(np.float32([1]), restored(np.float32([1])))
    with pytest.raises(MissingExtraError, match=r"bfloat16 requires ml_dtypes.*pip install ml_dtypes"):
        named_dtype("bfloat16")
