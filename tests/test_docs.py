"""The documentation: its code runs, its links lead somewhere, and what it says about other libraries is true."""

import ast
import contextlib
import functools
import re
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import keras_oocore as ko

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts)]
BLOCK = re.compile(r"^```python(?P<kind> before)?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES_FOR_DEVELOPERS = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "keras_oocore/README.md")]
TO_BE_WRITTEN = ("lines.py", "orc/table.py")  # by a reader of the recipes in CONTRIBUTING.md
NOT_INSTALLED = ("skimage",)  # used by code blocks of the kind "before", which show other libraries
CLASSES = ("Charlock", "Maize", "Sugar_beet")
pytestmark = pytest.mark.one_backend


class AnyModel:
    """The `model` of the pages: it builds a network that fits the first batches it is given."""

    network = None

    def build(self, x, y):
        x, y = np.asarray(x), np.asarray(y)
        assert x.max() > 1 / 255, "images are nearly black"
        classes = y.ndim == 1 and y.dtype.kind in "iu"
        outputs = keras.layers.Dense(5 if classes else 1 if y.ndim == 1 else y.shape[1])
        self.network = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Flatten(), outputs])
        self.network.compile("adam", keras.losses.SparseCategoricalCrossentropy(True) if classes else "mse")

    def fit(self, x, validation_data=None, epochs=1, **options):
        self.build(*next(iter(x))[:2])
        return self.network.fit(x, validation_data=validation_data, **options)

    def train_on_batch(self, x, y):
        if self.network is None or self.network.input_shape[1:] != x.shape[1:]:
            self.build(x, y)
        assert np.isfinite(self.network.train_on_batch(x, y))

    def predict(self, x):
        return self.network.predict(x, verbose=0)


@pytest.fixture
def folder(in_tmp_path, data_of_the_pages):
    """The working directory, with the data that the pages name."""
    shutil.copytree(data_of_the_pages, in_tmp_path, dirs_exist_ok=True)
    return in_tmp_path


@pytest.fixture(scope="module")
def data_of_the_pages(tmp_path_factory):
    """A folder with the data, which tests copy.

    Most parts are multiples of a batch, because JAX compiles again for a batch of another size.
    """
    folder = tmp_path_factory.mktemp("data_of_the_pages")
    with contextlib.chdir(folder):
        write_data()
    return folder


def write_data():
    rng = np.random.default_rng(0)
    rows = []
    for label, name in enumerate(CLASSES):
        for number in range(40):
            pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
            flat_name = f"{label}_{number}.png"
            for path in (Path("plant_seedlings", name, f"{number:03d}.png"), Path("all_images", flat_name)):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
            rows.append((flat_name, name, label, rng.random(), rng.random(), 1.0, f"patient {number % 10}"))
    table = pd.DataFrame(rows, columns=["filename", "class", "label", "length", "width", "weight", "patient"])
    table.drop(columns="label").to_csv("train.csv", index=False)
    names, one_hot = table["filename"].to_numpy(dtype=str), np.eye(3, dtype="float32")[table["label"]]
    for part, samples in (("train", slice(0, 100)), ("val", slice(100, 120))):
        np.save(f"X_{part}_filenames.npy", names[samples])
        np.save(f"y_{part}.npy", one_hot[samples])
    write_houses("houses.csv", rng)
    pd.read_csv("houses.csv").to_parquet("houses.parquet")
    write_houses("next_month_with_prices.csv", rng, num_rows=100)
    write_houses("test.csv", np.random.default_rng(1), num_rows=100)
    pd.read_csv("next_month_with_prices.csv").drop(columns="price").to_csv("next_month.csv", index=False)
    write_payments("payments.csv", rng)
    write_offers("offers.csv", rng)
    write_awkward_tables()
    write_masks(rng)
    write_arrays(rng)
    for copy, original in (("test", CLASSES[0]), ("validation/Maize", "Maize"), ("validation/Charlock", "Charlock")):
        Path(copy).mkdir(parents=True)
        for path in sorted(Path("plant_seedlings", original).iterdir())[: 32 if copy == "test" else 16]:
            Path(copy, path.name).hardlink_to(path)


def write_houses(path, rng, num_rows=500):
    """A table like the one of the pages: prices can be predicted, and some bedrooms are missing."""
    sqft_living = rng.integers(50, 400, num_rows) * 10
    houses = pd.DataFrame(
        {
            "price": np.round(200.0 * sqft_living + rng.normal(0, 10_000, num_rows), 1),
            "sqft_living": sqft_living,
            "bedrooms": np.where(rng.random(num_rows) < 0.1, None, rng.integers(1, 6, num_rows)),
            "yr_built": rng.integers(1900, 2015, num_rows),
            "city": rng.choice(["Seattle", "Renton", "Kent"], num_rows),
            "sold": [f"2014{1 + row % 12:02d}13T000000" for row in range(num_rows)],
        }
    )
    houses.to_csv(path, index=False)


def write_payments(path, rng, num_rows=400):
    """Payments of 2024, of which every tenth is a fraud."""
    payments = pd.DataFrame(
        {
            "transaction_id": [f"{row:06d}" for row in range(num_rows)],
            "date": [f"2024-{1 + 12 * row // num_rows:02d}-15" for row in range(num_rows)],
            "customer_id": [f"C{number}" for number in rng.integers(0, 100, num_rows)],
            "shop": rng.integers(0, 3, num_rows),
            "amount": rng.random(num_rows).round(2),
            "hour": rng.integers(0, 24, num_rows),
            "goods": rng.choice(["tv", "phone", "tv|phone", "book"], num_rows),
            "fraud": [int(row % 10 == 0) for row in range(num_rows)],
        }
    )
    payments.to_csv(path, index=False)


def write_offers(path, rng, num_rows=200):
    """A table as people write it: money, units, words for missing cells, ids and free text."""
    area = rng.integers(20, 300, num_rows)
    offers = pd.DataFrame(
        {
            "id": rng.permutation(num_rows) + 7000,
            "area": [f"{number} m²" for number in area],
            "fee": [
                f"(${-number:,})" if number < 0 else f"${number:,}" for number in rng.integers(-900, 5000, num_rows)
            ],
            "asked": np.where(rng.random(num_rows) < 0.05, "unknown", [f"{number:,}" for number in 40 * area]),
            "note": [f"quiet, close to stop {number}" for number in range(num_rows)],
            "price": [f"${number:,.2f}" for number in 3000.0 * area],
        }
    )
    offers.to_csv(path, index=False)


def write_awkward_tables(num_rows=30):
    """A table without a header, one with row names, one with delimiters at the end of rows, and two of one kind."""
    rows = range(num_rows)
    Path("iris.data").write_text("".join(f"5.{row % 10},3.{row % 7},1.4,0.2,Iris-setosa\n" for row in rows))
    cars = "".join(f'"Car {row}",{20 + row % 5}.5,{4 + row % 3}\n' for row in rows)
    Path("mtcars.csv").write_text("mpg,cyl\n" + cars)
    Path("sensors.csv").write_text("heat;noise;broken\n" + "".join(f"{row};{row % 4};{row % 2};\n" for row in rows))
    may = "price,sold\n" + "".join(f"{row},{row % 3}\n" for row in rows)
    Path("sales-2024-05.csv").write_text(may)
    Path("sales-2024-06.csv").write_text("sold,price\n" + "".join(f"{row % 3},{row}\n" for row in rows))
    with zipfile.ZipFile("sales.csv.zip", "w") as archive:
        archive.writestr("sales.csv", may)
    pd.DataFrame({"price": [1, 2], "sold": [0, 1]}).to_parquet("sales.parquet")


def write_masks(rng, num_photos=12):
    """Photos, a mask of three classes and a box for each, and all masks in one array."""
    boxes, masks = [], rng.integers(0, 3, (num_photos, 64, 64, 1), np.uint8)
    for number, mask in enumerate(masks):
        name = f"{number:03d}.png"
        for directory, pixels in (("photos", rng.integers(0, 256, (64, 64, 3), np.uint8)), ("masks", mask[..., 0])):
            Path(directory).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(Path(directory, name))
        boxes.append((name, *rng.random(4)))
    np.save("masks.npy", masks)
    pd.DataFrame(boxes, columns=["filename", "left", "top", "width", "height"]).to_csv("boxes.csv", index=False)


def write_arrays(rng):
    """Arrays in one file each, rows of one file, sounds in class folders, and volumes."""
    Path("all_arrays").mkdir()
    for number in range(12):
        np.save(f"all_arrays/{number}.npy", rng.random((4, 4), "float32"))
    np.save("array_filenames.npy", np.array([f"{number}.npy" for number in range(12)]))
    np.save("array_labels.npy", rng.random((12, 1)))
    np.save("embeddings.npy", rng.random((640, 8), "float32"))
    np.save("y.npy", rng.random((640, 1)))
    with h5py.File("data.h5", "w") as file:
        images = rng.integers(0, 256, (200, 20, 20, 3), np.uint8)
        file.create_dataset("images", data=images, chunks=(32, 20, 20, 3), compression="gzip")
        file["labels"] = np.arange(200) % 3
    sounds = []
    for species in ("blackbird", "wren"):
        Path("scans", species).mkdir(parents=True)
        for number in range(4):
            write_wav(Path("birds", species, f"{number}.wav"), rng)
            sounds.append((f"{species}/{number}.wav", species))
            np.savez(Path("scans", species, f"{number}.npz"), volume=rng.random((4, 4, 4), "float32"))
    pd.DataFrame(sounds, columns=["filename", "species"]).to_csv("sounds.csv", index=False)


def write_wav(path, rng):
    import wave

    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(rng.integers(-1000, 1000, 4000, np.int16).tobytes())


def code_blocks(page):
    """Each block as a syntax tree whose line numbers are those of the page."""
    text = page.read_text()
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("code"))
        tree = ast.parse("\n" * line + block["code"], filename=str(page))
        yield line, bool(block["kind"]), tree


def needs_what_is_not_installed(tree):
    """Whether a code block imports a library that the tests do not install."""
    return any(node.module.startswith(NOT_INSTALLED) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))


def only_defines(tree):
    return all(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom) for node in tree.body)


@pytest.fixture
def one_epoch(monkeypatch):
    """Every `fit` of a page trains for one epoch, except within a training that counts its epochs itself."""
    fit = keras.Model.fit

    @functools.wraps(fit)  # its signature stays, which training reads
    def fit_once(self, *args, **options):
        if "initial_epoch" not in options:
            options.update(epochs=1)
        history = fit(self, *args, **{"verbose": 0, **options})
        assert np.isfinite(history.history["loss"]).all()
        return history

    monkeypatch.setattr(keras.Model, "fit", fit_once)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_from_top_to_bottom(page, folder, one_epoch):
    namespace = {"model": AnyModel()}
    blocks = list(code_blocks(page))
    assert len(blocks) == page.read_text().count("```python"), "a code block was not found"
    runnable = [(line, tree) for line, before, tree in blocks if not (before and needs_what_is_not_installed(tree))]
    for line, tree in sorted(runnable, key=lambda block: (not only_defines(block[1]), block[0])):  # helpers may follow
        print(f"{page.name}, line {line}")  # shown when it fails
        exec(compile(tree, str(page), "exec"), namespace)


def test_the_error_in_the_guide_is_the_one_that_is_raised(write):
    write("price,sqft_living\n" + "221900.0,1180\n" * 1203 + '538000.0,"2,570"\n')
    with pytest.raises(ko.DataError) as caught:
        list(ko.CSVChunkSequence("houses.csv", target="price"))
    page = (DOCS / "guides/csv.md").read_text()
    (shown,) = re.findall(r"^```\nDataError: (.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert " ".join(shown.split()) == str(caught.value)


def test_the_error_about_quotes_is_the_one_that_is_raised(write):
    write('id\ttitle\trating\n1\t"Alien"\t8\n2\t12" of Snow\t5\n3\t"Up" again\t7\n', "titles.tsv")
    with pytest.raises(ko.DataError) as caught:
        ko.CSVChunkSequence("titles.tsv", target="rating", delimiter="\t")
    for name in ("guides/quotes_and_delimiters.md", "troubleshooting.md"):
        shown = re.findall(r"^```\nDataError: (.*?)^```$", (DOCS / name).read_text(), re.MULTILINE | re.DOTALL)
        assert str(caught.value) in [" ".join(text.split()) for text in shown]


def test_the_error_about_another_format_is_the_one_that_is_raised(in_tmp_path):
    write_awkward_tables()
    with pytest.raises(ko.DataError) as caught:
        ko.CSVChunkSequence("sales.parquet", target="sold")
    page = (DOCS / "guides/awkward_csv_files.md").read_text()
    (shown,) = re.findall(r"^```\nDataError: (.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert " ".join(shown.split()) == str(caught.value)


def anchors_of(page):
    """The anchors that GitHub gives to the titles of a page, which are those of the site."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *PAGES_FOR_DEVELOPERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link
        outside = DOCS in page.parents and DOCS not in target.resolve().parents
        assert not outside, f"{link} works on GitHub and not on the site, which has the pages of docs/ alone"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_exist(page):
    for name, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
        assert f"def {test}(" in (ROOT / name).read_text(), test


def test_readme_is_short_and_each_of_its_six_promises_names_a_test():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 180
    promises = re.findall(r"^\d\. .*?(?=^\d\. |^$)", "\n".join(lines), re.MULTILINE | re.DOTALL)
    assert [len(re.findall(r"`tests/[\w/]+\.py::\w+`", promise)) for promise in promises] == [1] * 6


@pytest.mark.parametrize("page", sorted((DOCS / "guides").glob("*.md")), ids=lambda page: page.name)
def test_guide_begins_with_code_and_has_a_row_in_readme(page):
    assert re.match(r"# .*\n\n```python\n", page.read_text()), "a guide begins with the whole answer"
    assert f"](docs/guides/{page.name})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", [*PAGES, *PAGES_FOR_DEVELOPERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page):
    folders = (ROOT, ROOT / "keras_oocore")
    for name in re.findall(r"`((?:\w+/)+[\w-]+\.(?:py|md|toml|ipynb))`", page.read_text()):
        if not name.endswith(TO_BE_WRITTEN):
            assert any((folder / name).exists() for folder in folders), name


class TestClaimsAboutOtherLibraries:
    """What the tables of docs/coming_from.md claim, tested."""

    @pytest.fixture
    def flow(self):
        legacy = pytest.importorskip("keras.src.legacy.preprocessing.image")

        def flow(validation_split=0.0, **options):
            generator = legacy.ImageDataGenerator(validation_split=validation_split)
            return generator.flow_from_directory("plant_seedlings", target_size=(8, 8), shuffle=False, **options)

        return flow

    def ours(self, **options):
        return ko.ImageFolderSequence("plant_seedlings", image_size=(8, 8), shuffle=False, **options)

    def test_flow_from_directory_gives_float32_and_nearest_pixels(self, folder, flow):
        x, y = flow(class_mode="sparse")[0]
        our_x, our_y = self.ours(interpolation="nearest")[0]
        assert (x.dtype, y.dtype, our_x.dtype, our_y.dtype) == ("float32", "float32", "uint8", "int32")
        np.testing.assert_array_equal(x, our_x)
        np.testing.assert_array_equal(y, our_y)
        assert np.abs(x - self.ours()[0][0]).max() > 1

    def test_area_averages_as_pillow_does(self, folder, flow):
        pillow = flow(interpolation="bilinear")[0][0]
        bilinear, area = (np.abs(pillow - self.ours(interpolation=name)[0][0]).mean() for name in ("bilinear", "area"))
        assert area < bilinear

    @pytest.mark.parametrize(("class_mode", "label_mode"), [("categorical", "categorical"), ("sparse", "int")])
    def test_each_class_mode_has_a_label_mode(self, class_mode, label_mode, folder, flow):
        np.testing.assert_array_equal(flow(class_mode=class_mode)[0][1], self.ours(label_mode=label_mode)[0][1])

    def test_binary_labels_have_one_more_axis(self, folder, flow):
        two = list(CLASSES[:2])
        y = flow(class_mode="binary", classes=two)[0][1]
        np.testing.assert_array_equal(y[:, np.newaxis], self.ours(label_mode="binary", class_names=two)[0][1])

    def test_images_can_be_their_own_targets(self, folder, flow):
        x, y = self.ours(label_mode=None, transform=lambda x, y, rng: (x, x), interpolation="nearest")[0]
        np.testing.assert_array_equal(flow(class_mode="input")[0][1], y)
        np.testing.assert_array_equal(x, y)

    def test_validation_files_of_flow_from_directory_are_the_first_of_each_class(self, folder, flow):
        theirs = flow(validation_split=0.2, subset="validation").filenames
        manifest = ko.Manifest.from_directory("plant_seedlings")
        first_fifth = np.concatenate([np.arange(count) < int(0.2 * count) for count in np.bincount(manifest.labels)])
        assert manifest.take(first_fifth).filenames.tolist() == theirs

    def test_shuffle_of_image_dataset_from_directory_with_grain_is_the_same_in_every_epoch(self, folder):
        pytest.importorskip("grain")
        options = dict(image_size=(8, 8), seed=0)
        dataset = keras.utils.image_dataset_from_directory("plant_seedlings", format="grain", **options)
        ours = ko.ImageFolderSequence("plant_seedlings", **options)

        def epoch(batches):
            return np.concatenate([np.asarray(y) for _, y in batches]).tolist()

        first, second = epoch(dataset), epoch(dataset)
        assert first == second
        assert first != sorted(first)
        assert epoch(ours) != epoch(ours)

    def test_types_and_codes_of_pandas_differ_between_chunks(self, tmp_path):
        path = tmp_path / "rooms.csv"
        path.write_text("rooms,city\n1,Rome\n2,Oslo\n,Rome\n3,Bern\nmany,Rome\n4,Oslo\n")
        chunks = list(pd.read_csv(path, chunksize=2))
        assert [chunk["rooms"].dtype.kind for chunk in chunks[:2]] == ["i", "f"]
        assert not pd.api.types.is_numeric_dtype(chunks[2]["rooms"])
        assert [list(pd.get_dummies(chunk["city"])) for chunk in chunks[:2]] == [["Oslo", "Rome"], ["Bern", "Rome"]]
        codes = [dict(zip(chunk["city"], chunk["city"].astype("category").cat.codes)) for chunk in chunks]
        assert codes[0]["Oslo"] == codes[1]["Bern"]

    def test_pandas_skips_only_lines_that_are_too_long(self, write):
        write("a,b\n" + "1,2\n" * 30 + "3\n4,5,6\n7,x\n", "t.csv")
        table = pd.read_csv("t.csv", on_bad_lines="skip")
        assert len(table) == 32
        assert table["b"].isna().sum() == 1
        assert not pd.api.types.is_numeric_dtype(table["b"])
        with pytest.warns(UserWarning, match="3 rows are left out"):
            assert ko.CSVChunkSequence("t.csv", target="b", on_bad_row="skip").num_rows == 30

    def test_split_arrays_is_train_test_split(self):
        from sklearn.model_selection import train_test_split

        names, labels = np.array([f"{number}.png" for number in range(40)]), np.arange(40) % 3
        ours = ko.split_arrays(names, labels, validation_split=0.2, stratify=False, seed=1)
        for theirs, part in zip(train_test_split(names, labels, test_size=0.2, random_state=1), ours, strict=True):
            np.testing.assert_array_equal(theirs, part)
