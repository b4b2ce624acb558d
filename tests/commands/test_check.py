"""`keras-oocore check`."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import keras_oocore as ko

BROKEN = "Maize/broken.png"


def picture(number):
    """A sharp picture that is unlike the others."""
    noise = Image.fromarray(np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8))
    return noise.resize((160, 120), Image.Resampling.NEAREST)


@pytest.fixture
def messy(in_tmp_path):
    """Four classes of six pictures in `messy`, and `clean` with five others, of which one is a copy."""
    for number in range(24):
        path = in_tmp_path / "messy" / ("Charlock", "Maize", "Cleavers", "Fat_Hen")[number % 4] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    messy = in_tmp_path / "messy"
    (messy / BROKEN).write_text("<html>")
    picture(0).resize((120, 90)).save(messy / "Charlock" / "small.jpg", quality=70)
    shutil.copy(messy / "Maize" / "01.png", messy / "Cleavers" / "wrong.png")
    for number in range(100, 105):
        path = in_tmp_path / "clean" / ("Charlock", "Maize")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    picture(2).save(in_tmp_path / "clean" / "Maize" / "leak.jpg", quality=90)
    return messy


def test_processes_find_the_same(messy, run):
    status, found, _ = run("check", messy, "--against", "clean", "--processes", 2)
    assert (status, found) == run("check", messy, "--against", "clean")[:2]


def test_findings_are_printed_and_the_status_is_1(messy, run):
    status, output, _ = run("check", "messy", "--against", "clean")

    assert status == 1
    assert output.startswith("messy against clean: 27 files checked, 1 bad file, 1 conflict, 1 leak, 1 group of copies")
    for line in (
        *("1 bad file", f"  {BROKEN}: ", "1 conflict: copies in different classes", "1 leak: copies in both data sets"),
        "  Cleavers/wrong.png = Maize/01.png (identical files)",
        "  Cleavers/02.png = Maize/leak.jpg (same picture)",
        "  Charlock/00.png = Charlock/small.jpg (same picture)",
        "To see the pictures, add: --html report.html",
    ):
        assert f"\n{line}" in output, line


def test_json_has_all_findings(messy, run):
    status, output, _ = run("check", "messy", "--against", "clean", "--json")
    facts = json.loads(output)

    assert status == 1
    assert (facts["data"], facts["against"], facts["num_files"], facts["found"]) == ("messy", "clean", 27, True)
    assert [*facts["bad"]] == [BROKEN]
    assert facts["conflicts"] == [
        {"files": ["Cleavers/wrong.png", "Maize/01.png"], "classes": ["Cleavers", "Maize"], "kind": "exact"}
    ]
    assert facts["leaks"] == [{"file": "Cleavers/02.png", "other": "Maize/leak.jpg", "kind": "near"}]
    assert [copies["kind"] for copies in facts["duplicates"] if copies not in facts["conflicts"]] == ["near"]
    assert facts["class_counts"] == {"Charlock": 7, "Cleavers": 7, "Fat_Hen": 6, "Maize": 7}
    assert {"height": 120, "width": 160, "count": 25} in facts["sizes"]
    assert facts["formats"]["PNG"] == 25


def test_a_page_is_written(messy, in_tmp_path, run):
    status, output, _ = run("check", "messy", "--html", "pages/report.html")

    assert status == 1
    assert output.endswith("\npictures: pages/report.html\n")
    page = (in_tmp_path / "pages" / "report.html").read_text("utf-8")
    assert page.count("<img") == 4
    facts = json.loads(run("check", "messy", "--html", "pages/report.html", "--json")[1])
    assert facts["html"] == "pages/report.html"


def test_nothing_found_is_status_0(messy, run):
    (messy.parent / "clean" / "Maize" / "leak.jpg").unlink()

    status, output, _ = run("check", "clean")
    assert status == 0
    assert output == (
        "clean: 5 files checked, nothing found\n\nnot checked: Mirrored copies. To find them, pass --mirrored.\n"
    )


def test_mirrored_copies_are_found_on_request(messy, run):
    clean = messy.parent / "clean"
    picture(101).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(clean / "Maize" / "flipped.png")

    assert run("check", "clean")[0] == 0
    status, output, _ = run("check", "clean", "--mirrored")
    assert status == 1
    assert "Maize/101.png = Maize/flipped.png (mirrored)" in output


def test_a_manifest_its_split_and_a_packed_store(messy, run):
    assert run("split", "messy", "parts")[0] == 0
    status, _, error = run("check", "parts")
    assert status == 2
    assert "Type: keras-oocore check parts/train --against parts/validation" in error
    assert run("check", "parts/train", "--against", "parts/validation")[0] == 1

    ko.ImageFolderSequence("clean", image_size=64).pack("packed")
    status, output, _ = run("check", "packed")
    assert status == 0
    assert "not checked: " in output


def test_thousands_of_findings_are_counted(messy, run):
    for number in range(20):
        (messy / "Maize" / f"broken {number}.png").touch()
    output = run("check", "messy")[1]

    assert "21 bad files" in output
    assert "  and 16 more files; --json lists all" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "'nothing' does not exist."),
        (("clean", "--against", "nothing"), "'nothing' does not exist."),
        (("empty",), "'empty' is empty."),
        (("houses.csv", "--against", "clean"), "'houses.csv' is a table, and 'clean' is not. Type --against FILE.csv"),
        (("clean", "--against", "houses.csv"), "'houses.csv' is a table, and 'clean' is not. Type --against DIRECTORY"),
        (("houses.csv", "--processes", "2"), "--processes is an option of files, and 'houses.csv' is a table"),
        (("houses.csv", "--labels", "a.npy"), "--labels is an option of files, and 'houses.csv' is a CSV file of rows"),
        (("clean", "--target", "price"), "--target is an option of tables"),
        (("clean", "--columns", "price"), "--columns is an option of tables"),
        (("clean", "--x-col", "image"), "--x-col has no effect on 'clean'"),
    ],
)
def test_wrong_use(words, message, messy, in_tmp_path, run):
    (in_tmp_path / "empty").mkdir()
    (in_tmp_path / "houses.csv").write_text("a,b\n1,2\n")
    status, output, error = run("check", *words)

    assert (status, output) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_a_page_that_cannot_be_written(messy, run):
    status, output, error = run("check", "clean", "--html", "clean")

    assert (status, output) == (1, "")
    assert "Cannot write 'clean'" in error


@pytest.fixture
def table(in_tmp_path):
    """60 rows in `houses.csv`, of which two are copies, and `test.csv` with one of them."""
    rng = np.random.default_rng(0)
    rows = [f"{size:.3f};{size * 100:.1f};{i % 3}" for i, size in enumerate(rng.normal(2000, 500, 60))]
    (in_tmp_path / "houses.csv").write_text("\n".join(["size;price;floors", *rows, rows[4], rows[8]]) + "\n")
    others = [f"{size:.3f};{size * 90 + 100 * i:.1f};{i % 3}" for i, size in enumerate(rng.normal(2000, 500, 60))]
    (in_tmp_path / "test.csv").write_text("\n".join(["size;price;floors", *others, rows[20]]) + "\n")
    return in_tmp_path / "houses.csv"


def test_a_table_is_checked(table, run):
    words = ("check", "houses.csv", "--against", "test.csv", "--target", "price", "--delimiter", ";")
    status, output, _ = run(*words, "--html", "report.html")

    assert status == 1
    assert output.startswith(
        "houses.csv against test.csv: 62 rows checked, 1 feature that tells the target, 1 row in both"
    )
    for line in ("  size: is the target times 0.01", "  rows 4, 60: price=", "  row 20, and row 60 there: price="):
        assert f"\n{line}" in output, line
    assert output.endswith("\npage: report.html\n")
    assert "Copies of rows" in (table.parent / "report.html").read_text()

    facts = json.loads(run(*words, "--json")[1])
    assert facts["duplicates"] == [[4, 60], [8, 61]]
    assert facts["leaks"] == [[20, 60]]


def test_a_clean_table_is_status_0(table, run):
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-2]) + "\n")
    status, output, _ = run("check", "houses.csv", "--delimiter", ";", "--columns", "size", "floors")

    assert (status, output.splitlines()[0]) == (0, "houses.csv: 60 rows checked, nothing found")


def test_a_compressed_table_is_checked(table, run):
    import gzip

    (table.parent / "houses.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    status, output, _ = run("check", "houses.csv.gz", "--delimiter", ";")

    assert status == 1
    assert "2 groups of copies" in output
