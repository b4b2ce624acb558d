"""Writes a CSV file of patients from scikit-learn and trains a linear model and a small network on it."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import keras_oocore as ko
from keras_oocore.core.backend import require_backend
from keras_oocore.core.files import write_whole
from keras_oocore.csv.cells import require_pyarrow
from keras_oocore.demo import DIRECTORY
from keras_oocore.demo import TABLE_EPOCHS as EPOCHS
from keras_oocore.demo.images import show_paths

FOLDER = "csv"  # in the directory of the demo, next to the images
COLUMNS = ("age", "sex", "bmi", "blood_pressure", "cholesterol", "ldl", "hdl", "tch", "ltg", "glucose", "progression")
TARGET, ONE_FEATURE = "progression", "bmi"
LINE_EPOCHS = 20


def run_demo_csv(directory: str | os.PathLike[str] = DIRECTORY, epochs: int = EPOCHS) -> float:
    """Writes a CSV file of 442 patients, trains a linear model and a small network, and prints the paths of all files.

    Args:
        directory: Directory whose subdirectory `csv` contains all files. It is created if it does not exist, and can
            be used again.
        epochs: Number of epochs to train the network. Defaults to `20`.

    Returns:
        The mean absolute error of the network on the validation rows.

    Raises:
        MissingExtraError: If pyarrow or a Keras backend is not installed.
    """
    require_pyarrow()
    require_backend()
    import keras

    console, folder = Console(highlight=False), Path(directory) / FOLDER
    keras.utils.set_random_seed(0)

    console.rule("1  A CSV file: one row per patient, 442 rows")
    path = folder / "patients.csv"
    is_new = write_patients(path)
    rows = ko.CSVChunkSequence(
        path, target=TARGET, batch_size=32, seed=0, cache=folder / "cache", overwrite_cache=is_new
    )
    console.print(str(rows.summary()), markup=False, soft_wrap=True)

    console.rule(f"2  A linear model: {TARGET} from {ONE_FEATURE}, in batches of 100")
    one_feature = ko.CSVChunkSequence(path, target=TARGET, features=[ONE_FEATURE], batch_size=100, seed=0)
    train, val = one_feature.split(validation_split=0.2, seed=0)
    line = straight_line(keras, train.normalization())
    for _ in range(LINE_EPOCHS):
        for x, y in train:
            line.train_on_batch(x, y)
    at_0, at_1 = line.predict(np.array([[0.0], [1.0]], "float32"), verbose=0)[:, 0]
    x, y = (np.concatenate(parts) for parts in zip(*train))
    slope, intercept = np.polyfit(x[:, 0], y, deg=1)
    console.print(f"  batch by batch   {TARGET} = {at_1 - at_0:.2f} {ONE_FEATURE} {at_0:+.1f}")
    console.print(f"  least squares    {TARGET} = {slope:.2f} {ONE_FEATURE} {intercept:+.1f}")

    console.rule(f"3  A network: all {len(COLUMNS) - 1} measurements, model.fit on {keras.backend.backend()}")
    train_rows, val_rows = rows.split(validation_split=0.2, seed=0)  # the same seed selects the same patients
    console.print(repr(train_rows), markup=False, soft_wrap=True)
    model = small_network(keras, train_rows.normalization())
    model.fit(train_rows, validation_data=val_rows, epochs=epochs, verbose=2)
    model.save(folder / "model.keras")

    console.rule("Done")
    predicted = model.predict(val_rows, verbose=0)[:, 0]
    real = np.concatenate([batch for _, batch in val_rows])
    error = float(np.abs(predicted - real).mean())
    console.print(f"[bold green]mean absolute error: {error:.1f}[/] on {val_rows.num_rows} validation patients")
    console.print(f"  {np.abs(line.predict(val, verbose=0)[:, 0] - real).mean():.1f} with the linear model")
    console.print(f"  {np.abs(y.mean() - real).mean():.1f} with the mean as the prediction")
    paths = [("the CSV file", path), ("its rows, cached", folder / "cache")]
    if draw(real, predicted, folder / "predicted.png"):
        paths.append(("predicted against real", folder / "predicted.png"))
    show_paths(console, [*paths, ("the trained model", folder / "model.keras")])
    return error


def write_patients(path: Path) -> bool:
    """Write scikit-learn's diabetes dataset (Efron et al., Least Angle Regression, 2004), unless the file exists.

    Returns:
        Whether the file was written.
    """
    from sklearn.datasets import load_diabetes

    if path.exists():
        return False
    patients = load_diabetes(scaled=False)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(np.column_stack([patients.data, patients.target]).tolist())
    with write_whole(path) as file:
        file.write(text.getvalue().encode())
    return True


def straight_line(keras: Any, normalization: Any) -> Any:
    """A linear model of one feature. Its learning rate decreases, so that it converges to the least squares."""
    model = keras.Sequential([keras.Input((1,)), normalization, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(0.3, 4, 1.0)), "mse")
    return model


def small_network(keras: Any, normalization: Any) -> Any:
    """A network that is trained in seconds on a CPU."""
    model = keras.Sequential(
        [
            keras.Input((len(COLUMNS) - 1,)),
            normalization,
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.03), "mean_absolute_error")
    return model


def draw(real: np.ndarray, predicted: np.ndarray, path: Path) -> bool:
    """Draw predicted against real values.

    Returns:
        Whether the figure was drawn. It is not if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.axline((0, 0), slope=1, color="lightgrey", zorder=0)
    axes.scatter(real, predicted, s=14)
    limits = (0, 1.05 * max(real.max(), predicted.max()))
    axes.set(xlabel=f"real {TARGET}", ylabel="predicted", xlim=limits, ylim=limits, aspect="equal")
    axes.set_title(f"{len(real)} validation patients", fontsize=10)
    with write_whole(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return True
