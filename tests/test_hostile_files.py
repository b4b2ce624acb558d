"""Files that anyone may have written: whatever is in them, an error is one of the package, names the file, needs little
memory, and nothing is written outside the folder."""

import json
import random
import shutil
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from frozen_disk import killed_at
from trees import make_tree

import keras_oocore as ko
from keras_oocore.core.errors import OptionError, OutOfCoreError
from keras_oocore.training.state import checkpoint, checkpoints

NUM_SHORT, NUM_LONG = 20, 1000  # hostile copies of each folder
MAX_BYTES = 40e6  # of memory, for folders of a few kilobytes
# Errors about a whole, readable array, or about several files.
WITHOUT_A_NAME = (
    *("There should be one label per", "Samples of shape", "There are no samples"),
    "0 samples do not fill a batch",
)
WORDS = (
    rb"""' " ( ) [ ] { } , : - \ ((((( [[[[[ {{{{{ -1 0 1000000000000 1e999 1.5 None True NaN null <U0 <U9 >f4 |O |V8
    <M8[ns] descr shape ../../evil /tmp/evil""".split()
    + [b"\0", b"\xff", b"\n", b"9" * 40, b"PK\x01\x02", b"PK\x05\x06", b"\x93NUMPY"]
)
NUMBERS = [True, False, 0, -1, 1, 3, 2**31, 2**63, 2**64, 10**12, 10**400, 0.5, float("inf"), float("nan")]
STRINGS = ["", "x", "\0", "..", "../../evil", "/tmp/evil", "a\n", "\udc80", "<f4", "|O", "9" * 5000]
VALUES = [None, *NUMBERS, *STRINGS, [], [[]], [1], [-1, 2], ["a", 1], {}, {"a": 1}, {"format": 1}]
DESCRIPTIONS = ["'<f4'", "'<U0'", "'<U3'", "'<U900000000'", "'|O'", "'|V0'", "'<M8[s]'", "[('a', '<f4')]", "[()]", "3"]
SHAPES = ["()", "(3,)", "(-1,)", "(-2, -3)", "(0,)", "(0, 3)", f"({10**12},)", f"({2**40}, {2**40})", "(3.0,)", "3"]


# --- how a file is changed ------------------------------------------------------------------------------------------


def changed_bytes(content, draw):
    """Replace, insert, drop, repeat or cut off some bytes."""
    start = draw.randrange(min(len(content), draw.choice([128, len(content)])))
    end = min(len(content), start + draw.randrange(1, 30))
    return draw.choice(
        [
            lambda: content[:start] + bytes([content[start] ^ 1 << draw.randrange(8)]) + content[start + 1 :],
            lambda: content[:start] + draw.choice(WORDS) + content[end:],
            lambda: content[:start] + draw.choice(WORDS) + content[start:],
            lambda: (content[:start] + (word := draw.choice(WORDS)) + content[start + len(word) :])[: len(content)],
            lambda: content[:start] + content[end:],
            lambda: content[:end] + content[start:],
            lambda: content[:start],
            lambda: content[:start] + bytes(end - start) + content[end:],
        ]
    )()


def changed_header(content, draw):
    """Write another, well-formed header before the same array."""
    order = draw.choice(["True", "False", "1", "'C'"])
    text = f"{{'descr': {draw.choice(DESCRIPTIONS)}, 'fortran_order': {order}, 'shape': {draw.choice(SHAPES)}}}"
    text = draw.choice([text, text, text, "(" * 200, text.replace("'", '"'), text + "'''", f"[{text}]"])
    text = text.encode().ljust(118) + b"\n"
    version = draw.choice([1, 1, 2, 3, 7])
    length = len(text).to_bytes(draw.choice([2, 4]) if version > 1 else 2, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + content[128:]


def changed_json(content, draw, encode=json.dumps):
    """Replace, remove or add one value of a record, or nest one deeply."""
    values = json.loads(content)
    values.pop("crc32", None)
    parent, key = draw.choice([*places(values)])
    kind = draw.randrange(8)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.append(draw.choice(VALUES))
    elif kind == 1:
        parent["more"] = draw.choice(VALUES)
    elif kind == 2:
        parent[key] = "deep"
        depth = draw.choice([50, 3000, 200_000])
        return encode(values).replace('"deep"', "[" * depth + "]" * depth)
    else:
        parent[key] = draw.choice(VALUES)
    return encode(values)


def places(values):
    """Every `(container, key)` in a JSON value."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in list(items):
        yield values, key
        yield from places(value)


def change(path, draw):
    """Change one file in some way."""
    content = path.read_bytes()
    if path.suffix == ".npy" and draw.random() < 0.5:
        content = changed_header(content, draw)
    elif is_json(path) and draw.random() < 0.8:
        encode = json.dumps
        if path.name == checkpoint.RECORD:
            encode = signed
        content = changed_json(content, draw, encode).encode(errors="surrogatepass")
    else:
        for _ in range(draw.randrange(1, 3)):
            content = changed_bytes(content, draw) if content else b"x"
    path.write_bytes(content)


def is_ours(path):
    """Whether a file is of the package (and has bytes to change): how CSV files are read has its own tests."""
    return path.is_file() and path.suffix != ".csv" and path.stat().st_size > 0


def is_json(path):
    return path.suffix == ".json" or path.name == ".keras_oocore-commit"


def signed(values):
    """A record with its checksum."""
    return checkpoint.RECORD_FORMAT.encode({key: value for key, value in values.items() if key != "format"}).decode()


# --- what is read: functions that fill a folder, and return a function that reads it --------------------------------


def arrays(folder):
    ko.save_arrays(folder, ["a.png", "b.png", "c.png"], ["x", "y", "x"])
    return ko.load_arrays


def arrays_by_path(folder):
    ko.save_arrays(folder, ["a.png", "b.png", "c.png"], [0, 1, 0])
    return lambda folder: ko.Manifest.from_arrays(folder / "filenames.npy", folder / "labels.npy").summary()


def killed_save(folder):
    ko.save_arrays(folder, ["a.png", "b.png"], [0, 1])
    with pytest.MonkeyPatch.context() as patch, killed_at(("replace", 1), patch):
        ko.save_arrays(folder, ["c.png", "d.png"], [1, 0])
    return ko.load_arrays


def manifest(folder):
    ko.Manifest.from_arrays(["a/1.png", "b/2.png", "b/3.png"], ["a", "b", "b"], "photos").save(folder)
    return lambda folder: ko.Manifest.load(folder).summary()


def rows_of_a_file(folder):
    np.save(folder / "rows.npy", np.arange(12, dtype="float32").reshape(6, 2))
    return lambda folder: ko.ArraySequence(folder / "rows.npy", None, workers=0)[0]


def files(folder):
    for number in range(2):
        np.save(folder / f"{number}.npy", np.full((2, 3), number, "float32"))
    return lambda folder: ko.NpyManifestSequence(["0.npy", "1.npy"], [0, 1], directory=folder, workers=0)[0]


def zip_file(folder):
    make_tree(folder / "photos", "cat/001.png", "dog/002.png", repeat=20)
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        for number, method in enumerate(
            (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        ):
            archive.writestr(f"all/{number}.bin", bytes(range(200)) * 3, method)
    shutil.rmtree(folder / "photos")
    return lambda folder: ko.unzip_folder(folder / "x.zip", folder / "there", progress=False)


def plan_of_moved_files(folder):
    make_tree(folder / "photos", "cat/001.png", "dog/002.png")
    ko.flatten_images(folder / "photos", folder / "all", mode="move", progress=False)
    make_tree(folder / "photos", "cat/003.png")
    return lambda folder: ko.flatten_images(folder / "photos", folder / "all", mode="move", progress=False).summary()


def packed_store(folder):
    for number in range(6):
        np.save(folder / f"{number}.npy", np.full((2, 3), number, "float32"))
    names = [f"{number}.npy" for number in range(6)]
    ko.NpyManifestSequence(names, [0, 1] * 3, directory=folder, workers=0).pack(folder / "packed")
    for name in names:
        (folder / name).unlink()

    def read(folder):
        packed = ko.open_packed(folder / "packed", workers=0, on_error="skip")
        packed.verify()
        packed[0]

    return read


def read_raw(path):
    """`numpy.load` would take hundreds of MB for a damaged header."""
    return np.fromfile(path, "float32")


def half_filled_cache(folder):
    for number in range(6):
        np.full(6, number, "float32").tofile(folder / f"{number}.raw")

    def read(folder):
        names = [f"{number}.raw" for number in range(6)]
        options = dict(
            directory=folder, reader=read_raw, cache=folder / "cache", workers=0, batch_size=2, shuffle=False
        )
        with ko.NpyManifestSequence(names, [0, 1] * 3, **options) as sequence:
            sequence[0]

    read(folder)
    return read


def cache_of_a_table(folder):
    rows = [f"{'' if i % 10 == 3 else i / 4},{'Rome' if i % 3 else 'Oslo'},{i}\n" for i in range(40)]
    (folder / "houses.csv").write_text("a,city,price\n" + "".join(rows))

    def read(folder):
        options = dict(target="price", categorical=["city"], missing="mean", shuffle=False, workers=0)
        with ko.CSVChunkSequence(folder / "houses.csv", cache=folder / "cache", **options) as sequence:
            sequence[0]

    read(folder)
    return read


def two_checkpoints(folder):
    with checkpoints.exclusive(folder) as saved:
        for epoch in range(2):
            saved.save({"epoch": epoch, "text": "a"}, {"kernel": np.arange(6.0).reshape(2, 3)})

    def read(folder):
        with checkpoints.exclusive(folder) as saved:
            saved.latest()

    return read


FOLDERS = [
    arrays,
    arrays_by_path,
    killed_save,
    manifest,
    rows_of_a_file,
    files,
    zip_file,
    plan_of_moved_files,
    packed_store,
    half_filled_cache,
    cache_of_a_table,
    two_checkpoints,
]


# --- the test -------------------------------------------------------------------------------------------------------


def problem(read, folder, path):
    """What is wrong with the outcome of reading a folder with a hostile file, or `None`."""
    around = {other for other in folder.parent.rglob("*") if folder not in other.parents}
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)
    except OptionError:
        pass  # what is read cannot be what the argument says
    except OutOfCoreError as error:
        if str(folder) not in str(error) and path.name not in str(error) and not str(error).startswith(WITHOUT_A_NAME):
            return f"the file is not named: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if peak_bytes > MAX_BYTES:
        return f"{peak_bytes:,} bytes of memory"
    written = {other for other in folder.parent.rglob("*") if folder not in other.parents} - around
    return f"written outside: {written}" if written else None


@pytest.mark.parametrize("make", FOLDERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("num_copies", [NUM_SHORT, pytest.param(NUM_LONG, marks=pytest.mark.soak)])
def test_an_error_names_the_file_and_is_one_of_the_package(tmp_path, monkeypatch, make, num_copies):
    seed = 0 if num_copies == NUM_SHORT else random.randrange(10**6)
    print("seed", seed)
    draw, problems = random.Random(seed), []
    whole, case = tmp_path / "whole", tmp_path / "work" / "case"
    whole.mkdir()
    read = make(whole)
    kept = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if is_ours(path)]
    monkeypatch.chdir(tmp_path)
    for _ in range(num_copies):
        shutil.copytree(whole, case)
        path = case / draw.choice(kept)
        change(path, draw)
        content = path.read_bytes()
        found = problem(read, case, path)
        if found:
            problems.append(f"{path.name}: {found}. Content: {content[:300]!r}")
        shutil.rmtree(case)
    assert not problems, f"{len(problems)} of {num_copies} with seed {seed}:\n" + "\n".join(problems[:20])
    assert not Path("/tmp/evil").exists()
