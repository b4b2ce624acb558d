"""Arrow IPC files as a table: damaged and other files, types that are refused, and chunks of bounded size."""

import contextlib
import random

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, ipc

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.ipc.format import open_ipc
from keras_oocore.tables.opening import Opening

ROWS = pa.table({"x": np.arange(1000.0), "city": [f"city {i % 7}" for i in range(1000)], "y": np.arange(1000.0)})


@pytest.fixture
def path(tmp_path):
    feather.write_feather(ROWS, tmp_path / "rows.feather", chunksize=300)
    return tmp_path / "rows.feather"


def test_the_name_or_the_first_bytes_tell_an_arrow_file(path, tmp_path):
    path.rename(tmp_path / "rows.data")
    for data in (tmp_path / "rows.data", [tmp_path / "rows.data"], str(tmp_path / "*.data")):
        assert ko.TableSequence(data, "y", features=["x"]).num_rows == 1000


def test_missing_empty_and_other_files_are_named(tmp_path):
    (tmp_path / "empty.feather").touch()
    (tmp_path / "text.feather").write_text("a,b\n1,2\n")
    (tmp_path / "first.feather").write_bytes(b"FEA1\0\0\0\0")
    for name, match in (
        ("none.feather", r"Cannot read '.*none.feather': No such file"),
        ("empty.feather", r"empty.feather: the file is empty"),
        ("text.feather", r"text.feather: this is not an Arrow file. Its first bytes are b'a,b"),
        ("first.feather", r"Feather file of the first version. Convert it: from pyarrow import feather"),
        ("none-*.feather", r"No file matches"),
    ):
        with pytest.raises(DataError, match=match):
            ko.TableSequence(tmp_path / name, "y")


def test_truncated_files_are_named(path):
    data = path.read_bytes()
    for end in (10, 1000, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(DataError, match=r"rows.feather: cannot read the Arrow file: its end is missing"):
            ko.TableSequence(path, "y")


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_damaged_files_are_errors_of_data_and_never_end_the_process(tmp_path, compression):
    path, draw = tmp_path / "rows.feather", random.Random(0)
    feather.write_feather(ROWS, path, chunksize=300, compression=compression)
    data = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(20):
            damaged[draw.randrange(8, len(data) - 12)] = draw.randrange(256)
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(DataError, OptionError):
            rows = ko.TableSequence(path, "y", features=["x", "city"], missing="nan", on_bad_row="skip", workers=0)
            assert len(np.concatenate([y for _, y in rows])) == rows.num_rows <= 1000


def test_a_compressed_stream_is_answered_with_what_to_type(tmp_path):
    with ipc.new_stream(str(tmp_path / "a.arrows"), ROWS.schema, options=ipc.IpcWriteOptions(compression="lz4")) as out:
        out.write_table(ROWS)
    with pytest.raises(DataError, match=r"data=pyarrow.ipc.open_stream\('.*a.arrows'\), cache=\"DIR\""):
        ko.TableSequence(tmp_path / "a.arrows", "y")
    with ipc.open_stream(str(tmp_path / "a.arrows")) as stream:
        assert ko.TableSequence(stream, "y", features=["x"], cache=tmp_path / "cache").num_rows == 1000


@pytest.mark.parametrize(("new", "name"), [(ipc.new_stream, "old.arrows"), (ipc.new_file, "old.arrow")])
def test_files_of_before_arrow_0_15(tmp_path, new, name):
    options = ipc.IpcWriteOptions(use_legacy_format=True, metadata_version=ipc.MetadataVersion.V4)
    with new(str(tmp_path / name), ROWS.schema, options=options) as out:
        out.write_table(ROWS, max_chunksize=300)
    rows = ko.TableSequence(tmp_path / name, "y", features=["x"], shuffle=False, batch_size=1000)
    assert rows[0][0][:, 0].tolist() == rows[0][1].tolist() == list(range(1000))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=f"{name}: cannot read the Arrow file: it"):
        ko.TableSequence(tmp_path / name, "y")


def test_large_record_batches_are_read_in_parts(tmp_path):
    rows = pa.table({"x": np.arange(200_000), "y": np.arange(200_000)})
    for compression, most in (("uncompressed", 65_536), ("lz4", 4 * 65_536)):
        feather.write_feather(rows, tmp_path / "a.feather", chunksize=len(rows), compression=compression)
        table = open_ipc(tmp_path / "a.feather", Opening())

        assert np.diff(table.rows).max() <= most
        assert (
            len({table.read_arrays(chunk, ["x"])["x"][0].as_py() for chunk in range(table.num_chunks)})
            == len(table.rows) - 1
        )
    many = pa.table({f"x{i}": np.zeros(5000) for i in range(2000)})
    feather.write_feather(many, tmp_path / "wide.feather", compression="uncompressed")
    assert np.diff(open_ipc(tmp_path / "wide.feather", Opening()).rows).max() <= 1024


def test_types_of_other_libraries_are_refused_by_name(tmp_path):
    schema = pa.schema(
        [pa.field("p", pa.int64(), metadata={"ARROW:extension:name": "geoarrow.point"}), ("x", pa.int64())]
    )
    with ipc.new_file(str(tmp_path / "a.arrow"), schema) as out:
        out.write_table(pa.table([[1], [2]], schema=schema))
    with pytest.raises(OptionError, match=r"'p' of .*a.arrow is of the type 'geoarrow.point', which is no number"):
        ko.TableSequence(tmp_path / "a.arrow", target="x", features=["p"])
    with pytest.warns(UserWarning, match="Not a feature: column 'p'"):
        assert ko.TableSequence(tmp_path / "a.arrow", target=None)[0].tolist() == [[2.0]]


def test_files_that_differ_are_refused_by_name(path, tmp_path):
    feather.write_feather(ROWS.drop(["city"]), tmp_path / "other.feather")
    sequence = ko.TableSequence([path, tmp_path / "other.feather"], "y", features=["x"], shuffle=False)

    assert sequence.num_rows == 2000
    with pytest.raises(OptionError, match=r"other.feather has no column 'city', and .*rows.feather has one"):
        ko.TableSequence([path, tmp_path / "other.feather"], "y", features=["city"])


def test_unicode_names_and_a_folder(tmp_path):
    (tmp_path / "größe").mkdir()
    feather.write_feather(ROWS, tmp_path / "größe" / "é 1.feather")
    (tmp_path / "größe" / "notes.txt").write_text("no table")

    assert ko.TableSequence(tmp_path / "größe", "y", features=["x"]).num_rows == 1000


def test_folders_are_columns_and_no_file_in_them_is_left_out(tmp_path):
    for year, code, first in ((2023, "07", 0), (2024, "K1", 5), (2024, "__HIVE_DEFAULT_PARTITION__", 9)):
        folder = tmp_path / "sales" / f"year={year}" / f"code={code}"
        folder.mkdir(parents=True)
        feather.write_feather(pa.table({"x": [first, first + 1]}), folder / "part-0.feather")
    (tmp_path / "sales" / "_SUCCESS").write_text("")
    options = dict(target="x", features=["year", "code"], shuffle=False)
    rows = ko.TableSequence(tmp_path / "sales", **options)

    assert rows.vocabulary("code") == ["07", "K1"]
    assert rows[0][0].tolist() == [[2023, 2], [2023, 2], [2024, 3], [2024, 3], [2024, 0], [2024, 0]]
    assert rows[0][1].tolist() == [0, 1, 5, 6, 9, 10]
    assert ko.TableSequence(f"{tmp_path}/sales/*/*/*.feather", **options)[0][0].tolist() == rows[0][0].tolist()
    train, val = rows.split(by="year", at=2024)
    assert (train.num_rows, val.num_rows) == (2, 4)
    with pytest.raises(DataError, match=r"such as '.*/sales/\*=2023/code=07/part-0.feather'"):
        rows.like(tmp_path / "sales" / "year=2023" / "code=07" / "part-0.feather", target=None)
    assert rows.like(f"{tmp_path}/sales/*=2023/code=07/*.feather", target=None)[0].tolist() == [[2023, 2]] * 2
    moved = tmp_path / "sales" / "year=2025"
    (tmp_path / "sales" / "year=2023").rename(moved)
    with pytest.raises(DataError, match="year=2025"):  # of the state: the same file means another year
        ko.TableSequence(tmp_path / "sales", **options).load_state_dict(rows.state_dict())


def test_files_beside_folders_are_read_in_the_order_of_their_paths(tmp_path):
    for number, name in enumerate(("b/c/2.arrow", "a.feather", "b/1.feather", "z.ftr")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        feather.write_feather(pa.table({"x": [number]}), tmp_path / name)

    assert ko.TableSequence(tmp_path, None, ["x"], shuffle=False)[0].ravel().tolist() == [1, 2, 0, 3]


def test_paths_are_checked(tmp_path):
    feather.write_feather(ROWS, tmp_path / "a.feather")

    with pytest.raises(OptionError, match=r"should be a path, a pattern or a list of them. Received: 3 in it"):
        ko.TableSequence([tmp_path / "a.feather", 3], "y", features=["x"])
    with pytest.raises(DataError, match=r"No file matches"):
        ko.TableSequence([tmp_path / "a.feather", tmp_path / "b*.feather"], "y", features=["x"])
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"There are no Arrow files in the folder"):
        ko.TableSequence([tmp_path / "a.feather", tmp_path / "none"], "y", features=["x"])


def test_a_name_that_is_not_utf8_is_an_error_of_the_file(tmp_path):
    path = tmp_path / "rows.arrow"
    with pa.ipc.new_file(path, pa.schema({"abcd": pa.int64()})):
        pass
    path.write_bytes(path.read_bytes().replace(b"abcd", b"ab\xff\xfe"))

    with pytest.raises(DataError, match=r"rows.arrow: cannot read the Arrow file: 'utf-8' codec"):
        open_ipc(str(path), Opening())
