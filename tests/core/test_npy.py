"""`.npy` files of unknown origin: what is damaged is named, before memory is allocated."""

import contextlib
import io
import os
import tracemalloc

import numpy as np
import pytest

from keras_oocore.core import files
from keras_oocore.core.errors import DataError
from keras_oocore.core.npy import load_array, read_header


def test_save_and_load_array(tmp_path):
    array = np.array(["a.png", "ünï 1.png", "\U0001f98a\n.png", "b\udcff.png"])
    path = files.save_array(tmp_path / "names.npy", array)
    np.testing.assert_array_equal(load_array(path), array)


def test_arrays_of_objects_are_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        files.save_array(tmp_path / "a.npy", np.array([None, {}], dtype=object))
    assert os.listdir(tmp_path) == []
    np.save(tmp_path / "b.npy", np.array(["a.png", None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"b\.npy.*pickled.*Save it again"):
        load_array(tmp_path / "b.npy")


def test_load_array_names_damaged_and_missing_files(tmp_path):
    path = files.save_array(tmp_path / "a.npy", np.arange(1000))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.npy' is not a complete \.npy file"):
        load_array(path)
    (tmp_path / "zero.npy").touch()
    with pytest.raises(DataError, match=r"zero\.npy' is not a complete \.npy file"):
        load_array(tmp_path / "zero.npy")
    with pytest.raises(DataError, match=r"Cannot read '.*gone\.npy': No such file"):
        load_array(tmp_path / "gone.npy")


def with_header(header, data=b"", version=b"\x01\x00"):
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def described(descr="'<f4'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "(" * 300,
        "{'descr': '''",  # numpy.lib.format raises a TokenError
        "{'descr'",
        "{1: 2, 'a': 3}",
        "[]",
        "__import__('os').abort()",
        described("[()]"),  # an IndexError
        described("('<f4',)"),
        described("[('a', '<f4', -1)]"),
        described("'<q" + "9" * 30 + "'"),
        described("{}"),
        described("None"),
        described("'<U0'", shape=f"({10**12},)"),
        described(shape="(-1,)"),
        described(shape="(2, -3, -4)"),
        described(shape=f"({10**12},)"),
        described(shape=f"({2**62}, {2**62}, {2**62})"),
        described(shape=f"(0, {2**70})"),
        described(shape="(2.0,)"),
        described(shape="[2]"),
        described(shape="('2',)"),
        described(order="3"),
        described(shape="(" + "1," * 70 + ")"),
        "\xff\xfe",
    ],
    ids=lambda header: header[:60],
)
@pytest.mark.parametrize(
    "version", [b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"], ids=lambda v: f"version {v[0]}"
)
@pytest.mark.filterwarnings("ignore")  # of Python's parser, about the header
def test_a_damaged_header_is_an_error_that_names_the_file(tmp_path, header, version):
    path = tmp_path / "a.npy"
    path.write_bytes(with_header(header, bytes(8), version))
    with pytest.raises(DataError, match=r"a\.npy' is not a complete \.npy file \(.+\)\. Save it again"):
        load_array(path)


@contextlib.contextmanager
def little_memory():
    """Within the block, less than a megabyte is allocated."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("descr", ["'<f4'", "'<U8'", "'>i8'", "'|V100'"])
def test_the_size_is_compared_before_memory_is_allocated(tmp_path, descr):
    path = tmp_path / "a.npy"
    path.write_bytes(with_header(described(descr, shape="(30_000_000,)"), bytes(1000)))
    with little_memory(), pytest.raises(DataError, match=r"has [\d,]+ bytes, but 1,000 bytes follow the header"):
        load_array(path)


@pytest.mark.parametrize("descr", ["<U2", ">U2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_strings_that_are_not_unicode_are_named(tmp_path, descr, order):
    array = np.full((2, 3), "ab", dtype=descr, order=order)
    np.save(tmp_path / "a.npy", array)
    assert load_array(tmp_path / "a.npy").tolist() == array.tolist()
    content = bytearray((tmp_path / "a.npy").read_bytes())
    content[-4:] = b"\x7f" * 4
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match="its strings are not Unicode"):
        load_array(tmp_path / "a.npy")


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00"])
def test_the_length_of_the_header_is_compared_before_memory_is_allocated(tmp_path, version):
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY" + version + (10**9).to_bytes(4, "little") + described().encode())
    with (
        little_memory(),
        pytest.raises(DataError, match=r"a\.npy' is not a complete \.npy file \(its header has 1,000,000,000 bytes\)"),
    ):
        load_array(path)


def test_the_header_is_read_from_the_start_to_the_array():
    file = io.BytesIO(with_header(described("'<f4'", "True", "(2, 1)"), bytes(range(8))))
    assert read_header(file) == ((2, 1), True, np.dtype("<f4"))
    assert file.read() == bytes(range(8))
