"""The notebooks run from top to bottom, with and without the real data, and the saved outputs can be published."""

import base64
import importlib.util
import io
import os
import re
from pathlib import Path

import hidden_packages
import nbformat
import numpy as np
import pytest
from jupyter_client import AsyncKernelManager
from nbclient.util import run_sync
from PIL import Image

from keras_oocore.plots.images import image_grid

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DATA = Path(os.environ.get("KERAS_OOCORE_DATA", ROOT.parent / "shared" / "data")).resolve()
LARGEST_BYTES = 1_500_000
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:home|root|tmp|work|usr|var|opt|mnt|Users)/|[A-Z]:\\\\|site-packages")
NUM_TRAIN = {"photos": 320, "digits": 479}
ONE_EPOCH = {
    "photos": """
epochs, image_size = 1, (48, 48)
few = work / "few_photos"
for number, path in enumerate(sorted(photos.rglob("*.*"))):
    if number % 3 == 0:
        (few / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, few / path.parent.name / path.name)
photos = few
""",
    "digits": """
epochs = 1
for number, path in enumerate(photos.rglob("*.png")):
    if number % 3:
        path.unlink()
""",
}
FEW_DIGITS = f"""
os.environ["PYTHONPATH"] += os.pathsep + {str(hidden_packages.OPTIONAL)!r}  # for the programs that it runs
from sklearn import datasets

load_digits = datasets.load_digits


def few_digits():
    datasets.load_digits = load_digits  # for the next notebook
    digits = load_digits()
    digits.images, digits.target = digits.images[:350], digits.target[:350]
    return digits


datasets.load_digits = few_digits
"""
FEW_STEPS = """
import functools
line_epochs, network_epochs, rare_epochs, large_megabytes, num_generated = 1, 1, 1, 20, 6_000
ko.CSVChunkSequence = functools.partial(ko.CSVChunkSequence, batch_size=500)  # where the notebook names none
"""
NUM_HOUSES = 6_000
FIRST = ROOT / "notebooks" / "1_images_larger_than_memory.ipynb"
SECOND = ROOT / "notebooks" / "2_csv_larger_than_memory.ipynb"
THIRD = ROOT / "notebooks" / "3_many_fits_one_training.ipynb"
FOURTH = ROOT / "notebooks" / "4_messy_folder_to_submission.ipynb"
FIFTH = ROOT / "notebooks" / "5_segmentation_with_masks.ipynb"
FEW_PAIRS = "num_train, num_val, epochs, image_size = 48, 64, 1, (32, 32)"
FEW_PHOTOS = "epochs, photos_per_class = 1, 12"
PHASES = ("head alone", "all of it")
pytestmark = [pytest.mark.one_backend, pytest.mark.timeout(1800)]  # a busy machine takes long to train
starts_kernels = pytest.mark.child


@pytest.fixture(scope="module")
def run():
    """notebooks/run.py as a module."""
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "notebooks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kernel():
    """One kernel for the short runs of all notebooks, because each new one imports Keras for many seconds."""
    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)


HAS_PHOTOS = (DATA / "plant_seedlings").is_dir()
HAS_HOUSES = (DATA / "kc_house_data.csv").is_file()


@pytest.fixture(params=["photos", pytest.param("digits", marks=[pytest.mark.soak] * HAS_PHOTOS)])
def data(request, monkeypatch, tmp_path):
    """The images that notebook 1 finds: the 12 real classes, or none, and then it uses the digits of scikit-learn."""
    if request.param == "photos" and not HAS_PHOTOS:
        pytest.skip(f"the photos are not at {DATA}; KERAS_OOCORE_DATA can name another folder")
    monkeypatch.setenv("KERAS_OOCORE_DATA", str(DATA if request.param == "photos" else tmp_path / "nothing"))
    return request.param


@pytest.fixture(params=["houses", pytest.param("generated", marks=[pytest.mark.soak] * HAS_HOUSES)])
def table(request, monkeypatch, tmp_path):
    """The houses that notebook 2 finds: the real sales, or none, and then it generates a table."""
    if request.param == "houses" and not HAS_HOUSES:
        pytest.skip(f"kc_house_data.csv is not at {DATA}; KERAS_OOCORE_DATA can name another folder")
    monkeypatch.setenv("KERAS_OOCORE_DATA", str(DATA if request.param == "houses" else tmp_path / "nothing"))
    return request.param


@pytest.fixture
def few_houses(table, monkeypatch, tmp_path_factory):
    """The first of these houses."""
    if table == "houses":
        folder = tmp_path_factory.mktemp("few_houses")
        lines = (DATA / "kc_house_data.csv").read_bytes().splitlines(keepends=True)
        (folder / "kc_house_data.csv").write_bytes(b"".join(lines[: 1 + NUM_HOUSES]))
        monkeypatch.setenv("KERAS_OOCORE_DATA", str(folder))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown_text(notebook):
    """The text of all outputs."""
    parts = []
    for output in (output for cell in code_cells(notebook) for output in cell.outputs):
        parts.append(output.get("text", ""))
        parts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)


def pictures(notebook):
    return [
        Image.open(io.BytesIO(base64.b64decode(picture)))
        for cell in code_cells(notebook)
        for output in cell.outputs
        for kind, picture in output.get("data", {}).items()
        if kind.startswith("image/")
    ]


def accuracy(notebook):
    return float(re.search(r"([\d.]+)% of \d+ photos are right", shown_text(notebook))[1]) / 100


def numbers(pattern, notebook):
    """The numbers in the text of the outputs, at each `#` of the pattern."""
    regex = re.escape(pattern).replace(r"\#", r" *(-?[\d,]+(?:\.\d+)?)")
    return [float(number.replace(",", "")) for number in re.search(regex, shown_text(notebook)).groups()]


def slope_error(notebook):
    """The relative difference of the slope found batch by batch from that of least squares."""
    return numbers("the slope differs by #%", notebook)[0] / 100


def dollars_wrong(notebook):
    """Mean absolute errors of the line and of the network on the test houses, in dollars."""
    return [
        numbers(f"{name} is wrong by # dollars on average", notebook)[0] for name in ("the line    ", "the network ")
    ]


def fractions_right(notebook):
    """Accuracy on the test digits at the end of each phase."""
    return [numbers(f"{phase}: #% of # images put aside are right", notebook)[0] / 100 for phase in PHASES]


@starts_kernels
class TestNotebook1:
    def test_it_runs_from_top_to_bottom(self, data, run, kernel, tmp_path):
        notebook = run.executed(FIRST, tmp_path, ONE_EPOCH[data], kernel)

        assert f"{NUM_TRAIN[data]} photos, the same bytes in every batch: True" in shown_text(notebook)
        assert len(pictures(notebook)) == 7
        assert [path.name for path in tmp_path.iterdir()] == ["notebook_1_data"]

    @pytest.mark.soak
    def test_it_reaches_the_accuracy_it_states(self, data, run, tmp_path):
        assert accuracy(run.executed(FIRST, tmp_path)) > {"photos": 0.7, "digits": 0.95}[data]

    def test_saved_outputs_are_those_of_the_photos(self):
        saved = nbformat.read(FIRST, as_version=4)
        assert "960 photos, the same bytes in every batch: True" in shown_text(saved)
        assert 0.7 < accuracy(saved) < 0.85  # "a little below 0.8"


@starts_kernels
class TestNotebook2:
    def test_it_runs_from_top_to_bottom(self, few_houses, run, kernel, tmp_path):
        notebook = run.executed(SECOND, tmp_path, FEW_STEPS, kernel)
        said = shown_text(notebook)

        assert numbers("# rows, # batches", notebook) == [NUM_HOUSES, -(-NUM_HOUSES // 100)]
        known, of_may = numbers("# houses until April, # in May", notebook)
        assert known + of_may == NUM_HOUSES
        assert sum(numbers("# houses to train on, # put aside", notebook)) == known
        assert numbers("# houses of May", notebook) == [of_may]
        predictions = (tmp_path / "notebook_2_data" / "prices_of_may.csv").read_text().splitlines()
        assert predictions[0] == "id,price"
        assert len(predictions) == 1 + of_may
        assert "notebook_2_data/five_houses.csv: row 2 (line 4), column 'sqft_living' (#1): the cell is missing" in said
        assert "notebook_2_data/typo.csv: row 4 (line 6), column 'sqft_living' (#1): cannot read '168O'" in said
        assert numbers("added in the first fifth, # MB after it", notebook)[0] < 10  # of a file of 20
        assert len(pictures(notebook)) == 4
        assert [path.name for path in tmp_path.iterdir()] == ["notebook_2_data"]

    @pytest.mark.soak
    def test_it_reaches_the_errors_it_states_and_memory_stays_constant(self, table, run, tmp_path):
        notebook = run.executed(SECOND, tmp_path)
        line, network = dollars_wrong(notebook)
        at_first, later = numbers("# MB of memory were added in the first fifth, # MB after it", notebook)

        assert slope_error(notebook) < 0.02
        assert network < 0.5 * line
        assert at_first < 100
        assert later < 15

    def test_saved_outputs_are_those_of_the_real_houses(self):
        saved = nbformat.read(SECOND, as_version=4)
        line, network = dollars_wrong(saved)

        assert "21,608 rows, 217 batches" in shown_text(saved)
        assert "../../shared/data/kc_house_data.csv: " in shown_text(saved)
        assert slope_error(saved) < 0.01
        assert network < 0.45 * line
        assert numbers("added in the first fifth, # MB after it", saved)[0] < 15


@starts_kernels
class TestNotebook3:
    @pytest.mark.parametrize(
        ("num_batches", "injected"), [(9, FEW_DIGITS), pytest.param(45, "", marks=pytest.mark.soak)]
    )
    @pytest.mark.skipif(os.name == "nt", reason="Windows ends a process with another code")
    def test_it_runs_from_top_to_bottom(self, num_batches, injected, run, kernel, tmp_path, monkeypatch):
        """One test, because a run takes long. JAX shares what it compiles among processes."""
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
        monkeypatch.setenv("JAX_PERSISTENT_COMPILATION_CACHE_MIN_COMPILE_TIME_SECS", "0")
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        folder = tmp_path / "run"
        folder.mkdir()
        notebook = run.executed(THIRD, folder, injected, kernel)

        assert [path.name for path in folder.iterdir()] == ["notebook_3_data"]
        assert len(pictures(notebook)) == 5
        self.check_plain_fit_restarts_epochs_and_fit_partitions_continues_them(notebook)
        self.check_a_killed_program_resumes_and_ends_with_the_same_weights(notebook, 6 * num_batches)
        self.check_phases_are_announced_and_the_second_one_improves_accuracy(notebook)
        if num_batches == 45:
            self.check_the_accuracies_it_states(notebook)

    def check_plain_fit_restarts_epochs_and_fit_partitions_continues_them(self, notebook):
        said = shown_text(notebook)
        assert " first fit: epochs [0, 1], loss" in said
        assert "second fit: epochs [0, 1], loss" in said
        assert "\nepochs [0, 1] val_accuracy" in said
        assert "\nepochs [0, 1, 2, 3, 4, 5] val_accuracy" in said
        (num_epochs,) = numbers("# of at most 12 epochs, on partitions [0, 1, 2, 3", notebook)
        assert 4 <= num_epochs <= 12

    def check_a_killed_program_resumes_and_ends_with_the_same_weights(self, notebook, num_batches):
        said = shown_text(notebook)
        assert "exit code -9\n" in said
        assert re.search(r"Resuming from 'notebook_3_data/killed/checkpoint-\d{8}': epoch 3 of 6, batch \d+\.", said)
        assert "the same weights, to the last bit: True" in said
        assert "the same history: True" in said
        assert f"the same loss after each of {num_batches} batches: True" in said

    def check_phases_are_announced_and_the_second_one_improves_accuracy(self, notebook):
        said = shown_text(notebook)
        head_alone, all_of_it = fractions_right(notebook)
        assert "head alone: 1 of 7 layers train, 650 of 24,282 weights; learning rate 0.01" in said
        assert "all of it: 7 of 7 layers train, 24,058 of 24,282 weights; learning rate 0.001" in said
        assert "\nEpoch 10/10\n" in said
        assert 0.4 < head_alone < all_of_it

    def check_the_accuracies_it_states(self, notebook):
        head_alone, all_of_it = fractions_right(notebook)
        assert numbers("val_accuracy #% at best", notebook)[0] > 85
        assert head_alone > 0.7
        assert all_of_it > 0.95

    def test_saved_outputs_match_the_text(self):
        saved = nbformat.read(THIRD, as_version=4)
        head_alone, all_of_it = fractions_right(saved)

        assert "the same weights, to the last bit: True" in shown_text(saved)
        assert 0.85 < head_alone < 0.93  # "about nine of ten"
        assert all_of_it > 0.98  # "about 99 of 100"


@starts_kernels
class TestNotebook4:
    def test_it_runs_from_top_to_bottom(self, data, run, kernel, tmp_path):
        notebook = run.executed(FOURTH, tmp_path, FEW_PHOTOS, kernel)
        num_classes = {"photos": 12, "digits": 10}[data]

        assert [path.name for path in tmp_path.iterdir()] == ["notebook_4_data"]
        assert len(pictures(notebook)) == 3
        assert "data:image/jpeg;base64," in (tmp_path / "notebook_4_data" / "report.html").read_text("utf-8")
        self.check_what_was_planted_is_found(notebook, num_classes, num_photos=12 * num_classes)
        self.check_a_submission_has_every_file(tmp_path / "notebook_4_data", 10 * num_classes + 1)

    def check_what_was_planted_is_found(self, notebook, num_classes, num_photos):
        """Three copies per class, a leak in every other one, four conflicts, three bad files and a black one."""
        said = shown_text(notebook)
        assert "3 files cannot be read or are damaged" in said
        assert "4 groups of copies have different classes" in said
        assert numbers("# files have copies in 'notebook_4_data/holdout'", notebook)[0] >= num_classes // 2
        assert "lens_cap.png' (all of its pixels are almost equal" in said
        assert "\n0 photos are in both parts" in said
        before, clean = numbers("# photos, # after cleaning", notebook)
        assert before == num_photos + 3 * num_classes + 4 + 3 + 1
        assert clean <= num_photos + 4  # fewer, because some of these photos are alike, too
        assert clean >= 0.97 * num_photos

    def check_a_submission_has_every_file(self, folder, num_files):
        header, *rows = (folder / "submission.csv").read_text().splitlines()
        assert header == "file,class,probability,error"
        assert len(rows) == num_files
        assert rows[-1] == "zz_broken.png,,,truncated: image file is truncated"

    @pytest.mark.soak
    def test_it_reaches_the_accuracy_it_states(self, data, run, tmp_path):
        notebook = run.executed(FOURTH, tmp_path)
        assert numbers("#% of # test photos are right", notebook)[0] > {"photos": 60, "digits": 90}[data]

    def test_saved_outputs_are_those_of_the_photos(self):
        saved = nbformat.read(FOURTH, as_version=4)
        self.check_what_was_planted_is_found(saved, num_classes=12, num_photos=720)
        assert "\n  7 files have copies in" in shown_text(saved)  # "six photos, and seven are found"
        assert ">1599e5ec9.png<" in shown_text(saved)
        assert 60 < numbers("#% of # test photos are right", saved)[0] < 85


@starts_kernels
class TestNotebook5:
    def test_it_runs_from_top_to_bottom(self, run, kernel, tmp_path):
        notebook = run.executed(FIFTH, tmp_path, FEW_PAIRS, kernel)
        said = shown_text(notebook)

        assert [path.name for path in tmp_path.iterdir()] == ["notebook_5_data"]
        assert len(pictures(notebook)) == 4
        assert "(16, 32, 32, 3) uint8 (16, 32, 32, 1) uint8 [0 1 2 3]" in said
        assert "1 of 8 images has no mask in 'notebook_5_data/broken/masks': '003.jpg'." in said
        assert "value 7 (the first in row 0, column 0), but num_classes=4 allows 0 to 3." in said
        assert len(self.iou(notebook)) == 4

    def iou(self, notebook):
        return [float(percent) for percent in re.findall(r"IoU +([\d.]+)%", shown_text(notebook))]

    @pytest.mark.soak
    def test_it_reaches_the_iou_it_states(self, run, tmp_path):
        background, *of_digits = self.iou(run.executed(FIFTH, tmp_path))
        assert background > 95
        assert min(of_digits) > 40

    def test_saved_outputs_are_those_of_a_trained_network(self):
        background, *of_digits = self.iou(nbformat.read(FIFTH, as_version=4))
        assert background > 95
        assert min(of_digits) > 50


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestSavedOutputs:
    def test_cells_were_run_once_and_in_order(self, path):
        cells = code_cells(nbformat.read(path, as_version=4))
        assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]

    def test_outputs_contain_no_errors_logs_or_machine_paths(self, path):
        notebook = nbformat.read(path, as_version=4)
        for cell in code_cells(notebook):
            for output in cell.outputs:
                assert output.output_type != "error"
                assert output.get("name") != "stderr"
        assert not MACHINE_PATH.search(shown_text(notebook))

    def test_file_is_small_and_pictures_are_large_enough(self, path):
        assert path.stat().st_size < LARGEST_BYTES
        saved = pictures(nbformat.read(path, as_version=4))
        assert saved
        assert all(500 < picture.width <= 1300 for picture in saved)

    def test_notebook_is_valid(self, path):
        nbformat.validate(nbformat.read(path, as_version=4))


def test_machine_paths_are_recognised():
    assert MACHINE_PATH.search("Manifest in '/home/ann/data'")
    assert not MACHINE_PATH.search("Manifest in '../../shared/data' and notebook_1_data/prepared/train")


def test_figures_are_displayed_without_pyplot():
    formatters = pytest.importorskip("IPython.core.formatters")
    figure = image_grid(np.zeros((2, 4, 4, 3), np.uint8), ["one", "two"])
    shown, _ = formatters.DisplayFormatter().format(figure)  # a new one, which pyplot has not configured
    assert shown["image/png"].startswith(b"\x89PNG")


@pytest.mark.parametrize(("kind", "noise"), [("photo", 10), ("chart", 0)])
def test_saved_pictures_are_smaller_and_look_the_same(kind, noise, run):
    rows, columns = np.mgrid[:200, :300]
    stripes = (rows + columns) % 20 > 1
    light = 60 + 120 * stripes + np.random.default_rng(0).normal(0, noise, (200, 300))  # a photo's detail is light
    levels = (light[:, :, np.newaxis] * [0.8, 1, 0.6]).clip(0, 255).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    before = base64.b64encode(file.getvalue()).decode()
    output = nbformat.v4.new_output("display_data", {"image/png": before})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])

    (small,) = pictures(run.with_small_pictures(notebook))

    ((form, after),) = output.data.items()
    assert form == {"photo": "image/jpeg", "chart": "image/png"}[kind]
    assert len(after) <= (0.5 if noise else 1) * len(before)
    assert np.abs(np.asarray(small.convert("RGB"), float) - levels).mean() < 6
