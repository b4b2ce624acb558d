"""Moments with time zones: the same instants are the same features in training and in later rows."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError

PARIS = "Europe/Paris"
MOMENTS = [datetime.datetime(2024, 1, 1, 5, 30), datetime.datetime(2024, 7, 2, 23, 15)]  # in UTC
DATES = {"at": ["hour", "day"]}
IN_PARIS, AS_WRITTEN = [[6, 1], [1, 3]], [[5, 1], [23, 2]]
ROWS = dict(target=None, features=["at"], dates=DATES, shuffle=False)


def table(zone, unit="us"):
    moments = [moment.replace(tzinfo=datetime.UTC) if zone else moment for moment in MOMENTS]
    return pa.table({"at": pa.array(moments, pa.timestamp(unit, tz=zone))})


def csv_file(folder, *cells):
    path = folder / "rows.csv"
    path.write_text("\n".join(["at,x", *(f"{cell},1" for cell in cells)]) + "\n")
    return path


@pytest.fixture(params=["rows", "saved"])
def trained(request, tmp_path):
    """Function that returns what has `like` and `encode`, of training rows in a time zone."""

    def make(zone, **options):
        train = ko.TableSequence(table(zone), **{**ROWS, **options})
        if request.param == "rows":
            return train
        train.save_features(tmp_path / "features.json")
        return ko.load_features(tmp_path / "features.json")

    return make


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [PARIS, "UTC", "+05:30", "America/New_York"])
def test_later_rows_have_the_hours_of_the_zone_of_the_training_rows(trained, tmp_path, zone, unit):
    pq.write_table(table(zone, unit), tmp_path / "june.parquet")
    for data in (table(zone, unit), tmp_path / "june.parquet", table(zone, unit).to_pandas()):
        assert trained(PARIS).like(data)[0].tolist() == IN_PARIS


def test_later_rows_may_be_text_with_offsets(trained, tmp_path):
    path = csv_file(tmp_path, "2024-01-01 06:30:00+01:00", "2024-07-02T23:15Z")
    assert trained(PARIS).like(path)[0].tolist() == IN_PARIS
    path = csv_file(tmp_path, "2024-01-01 06:30:00+01:00", "2024-07-02T23:15")
    with pytest.raises(
        DataError,
        match=r"row 1 \(line 3\), column 'at' \(#0\): cannot read '2024-07-02T23:15' as a date like '2014-10-13 "
        r"18:00\+02:00', which has an offset from UTC. Fix: write it with its offset from UTC, or on_bad_row='skip'.",
    ):
        trained(PARIS).like(path)[0]
    assert trained(None).like(csv_file(tmp_path, "2024-01-01 05:30", "2024-07-02T23:15"))[0].tolist() == AS_WRITTEN
    with pytest.raises(DataError, match=r"which has no offset from UTC\. Fix: write it without an offset from UTC"):
        trained(None).like(csv_file(tmp_path, "2024-01-01 05:30", "2024-07-02T23:15Z"))[0]


@pytest.mark.parametrize("dates", [DATES, None])
def test_moments_with_and_without_a_zone_are_not_mixed(trained, dates):
    with pytest.raises(OptionError, match=r"column 'at' has no time zone, and in the training rows it has the time "):
        trained(PARIS, dates=dates).like(table(None))
    with pytest.raises(
        OptionError, match=r"has the time zone 'UTC', and .* none, .* frame\['at'\].dt.tz_localize\(None"
    ):
        trained(None, dates=dates).like(table("UTC"))
    assert trained(None).like(table(None, "ns"))[0].tolist() == AS_WRITTEN


def test_training_rows_of_csv_files_without_offsets(tmp_path):
    train = ko.CSVChunkSequence(csv_file(tmp_path, *(moment.isoformat(" ") for moment in MOMENTS)), **ROWS)
    assert train.like(table(None))[0].tolist() == train[0].tolist() == AS_WRITTEN
    with pytest.raises(OptionError, match="column 'at' has the time zone 'UTC', and in the training rows it has none"):
        train.like(table("UTC"))


def test_training_rows_of_csv_files_with_offsets(tmp_path):
    train = ko.CSVChunkSequence(csv_file(tmp_path, *(f"{moment.isoformat(' ')}+00:00" for moment in MOMENTS)), **ROWS)
    assert train.like(table("UTC"))[0].tolist() == train[0].tolist() == AS_WRITTEN
    with pytest.raises(OptionError, match="has no time zone, and in the training rows it has an offset from UTC"):
        train.like(table(None))


def test_raw_rows_are_in_the_zone_of_the_training_rows(trained):
    same = [
        MOMENTS[0].replace(tzinfo=datetime.UTC),
        MOMENTS[0].replace(tzinfo=datetime.UTC).astimezone(ZoneInfo("Asia/Tokyo")),
        pd.Timestamp(MOMENTS[0], tz="UTC"),
        "2024-01-01 05:30Z",
    ]
    features = trained(PARIS)
    assert features.encode({"at": same}).tolist() == IN_PARIS[:1] * 4
    for value in (MOMENTS[0], np.datetime64(MOMENTS[0]), "2024-01-01 05:30", datetime.date(2024, 1, 1)):
        with pytest.raises(DataError, match=r"row 0, column 'at\.hour': cannot read .*, which has an offset from UTC"):
            features.encode({"at": value})
    features = trained(None)
    assert features.encode({"at": [MOMENTS[0], np.datetime64(MOMENTS[0])]}).tolist() == AS_WRITTEN[:1] * 2
    for value in same:
        with pytest.raises(DataError, match="which has no offset from UTC"):
            features.encode({"at": value})


def test_files_in_several_zones_have_days_but_no_hours(tmp_path, trained):
    for name, zone in (("a", "UTC"), ("b", "Etc/UTC"), ("c", PARIS)):
        pq.write_table(table(zone), tmp_path / f"{name}.parquet")
    rows = ko.TableSequence(tmp_path, **{**ROWS, "dates": None})
    assert rows[0].reshape(3, 2).tolist() == [rows[0].ravel().tolist()[:2]] * 3
    with pytest.raises(
        OptionError,
        match=r"`dates` names the hour of 'at', and its time zone is 'Europe/Paris' in .*c.parquet and 'UTC' in "
        r".*a.parquet. Write all files in one time zone.",
    ):
        ko.TableSequence(tmp_path, **ROWS)
    (tmp_path / "c.parquet").rename(tmp_path / "c.not")
    assert ko.TableSequence(tmp_path, **ROWS)[0].tolist() == AS_WRITTEN * 2
    (tmp_path / "c.not").rename(tmp_path / "c.parquet")
    assert trained(PARIS).like(tmp_path)[0].tolist() == IN_PARIS * 3  # training decides


def test_categories_are_written_in_the_zone_of_the_training_rows(trained):
    features = trained(PARIS, dates=None, categorical=["at"])
    assert features.vocabulary("at") == ["2024-01-01 06:30:00+01:00", "2024-07-03 01:15:00+02:00"]
    assert features.like(table("UTC"))[0].tolist() == [[2], [3]]


def test_a_cache_of_another_zone_is_refused(tmp_path):
    later = table("UTC")
    ko.TableSequence(table(PARIS), **ROWS).like(later, cache=tmp_path / "cache")[0]
    with pytest.raises(DataError, match="stores other rows"):
        ko.TableSequence(table("UTC"), **ROWS).like(later, cache=tmp_path / "cache")[0]
