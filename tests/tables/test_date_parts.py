"""Parts of dates as features."""

import pytest
from houses import error_of, parts

from keras_oocore.core.errors import OptionError

SALES = "sold,at,sqft,price\n2014-10-13 18:30:05,9:15,1000,1\n2015-02-28 00:00:00,23:59,2000,2\n"
TIME = {"at": "%H:%M"}


def names(rows):
    return [word.column.name for word in rows.features.words]


def test_parts_take_the_place_of_the_date(make_rows):
    rows = make_rows(SALES, dates={"sold": ["year", "quarter", "day_of_year"]}, dtypes=TIME, exclude=["at"])
    assert names(rows) == ["sold.year", "sold.quarter", "sold.day_of_year", "sqft", "price"]
    assert parts(rows)[0] == [[2014, 4, 286, 1000], [2015, 1, 59, 2000]]


def test_parts_by_name_in_several_inputs(make_rows):
    rows = make_rows(
        SALES,
        dates={"sold": ["month", "weekday", "second"], "at": "hour"},
        dtypes=TIME,
        features={"when": ["sold.weekday", "at", "sold.second"], "rest": ["sqft", "sold.month"]},
        missing={"at.hour": 0},
        indicator=True,
    )
    assert parts(rows)[0] == {
        "when": [[0, 9, 5, 0, 0, 0], [5, 23, 0, 0, 0, 0]],
        "rest": [[1000, 10, 0, 0], [2000, 2, 0, 0]],
    }
    assert rows.statistics()["at.hour"].mean == 16


def test_a_part_may_be_the_target_or_excluded(make_rows):
    rows = make_rows(SALES, target="sold.year", dates={"sold": ["year", "month"], "at": ["hour", "minute"]},
                     dtypes=TIME, exclude="at.hour")  # fmt: skip
    assert names(rows) == ["at.minute", "sqft", "price", "sold.year"]
    assert parts(rows)[1] == [2014, 2015]


def test_columns_that_must_be_dates_become_days(make_rows):
    rows = make_rows(SALES, dates=["sold"], features=["sold"])
    assert names(rows) == ["sold", "price"]
    assert rows.features.fingerprint() == make_rows(SALES, features=["sold"]).features.fingerprint()


def test_missing_cells_of_parts(make_rows):
    content = "sold,price\n2014-10-13,1\n,2\n2014-10-15,3\n"
    dates = {"sold": ["day", "days"]}
    assert parts(make_rows(content, dates=dates, missing="mean"))[0] == [[13, 16356], [14, 16357], [15, 16358]]
    assert parts(make_rows(content, dates=dates, missing="drop"))[1] == [1, 3]
    assert "column 'sold.day' (#0): the cell is missing" in error_of(make_rows, content, dates=dates)


def test_only_the_fingerprint_of_dates_tells_the_unit(make_rows):
    rows = make_rows(SALES, dates={"sold": ["year"]}, dtypes=TIME)
    assert rows.features.fingerprint()["columns"] == [
        ["sold.year", 0, "date", "%Y-%m-%d %H:%M:%S", "year", "feature"],
        ["at", 1, "date", "%H:%M", "in days", "feature"],
        ["sqft", 2, "float32", None, "feature"],
        ["price", 3, "float32", None, "target"],
    ]


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ("sold", '`dates` should be a dictionary from column to parts, such as {"sold": ["year", "weekday"]}.'),
        (3, "`dates` should be a dictionary"),
        (["sold.year"], "`dates` names 'sold.year', a part of the date 'sold'. Name the part in `dates`: "
                        "dates={'sold': ['year']}."),
        ({"sold.year": ["day"]}, "`dates` names 'sold.year', a part of the date 'sold'."),
        ({"sale": None}, "`dates` names a column that does not exist: 'sale'."),
        (["sqft"],
         "`dates` names 'sqft', which is not read as dates. Give their format: dtypes={'sqft': '%Y-%m-%d'}."),
        (["at"], "`dates` names 'at', which is not read as dates. Column 'at' is read as strings, though its cells "
                 "look like dates, such as '9:15'. Fix: give their format in dtypes, such as '%H:%M'."),
        ({"sold": []}, "`dates` should name at least one part of 'sold'. Received: none"),
        ({"sold": ["years"]}, "`dates` should name parts of dates: 'days', 'year', 'quarter', 'month', 'week', 'day', "
                              "'weekday', 'day_of_year', 'hour', 'minute', 'second'. Did you mean 'year'? Received: "
                              "dates={'sold': ['years']}"),
        ({"sold": ["year", "day", "year"]},
         "`dates` should contain each name once. Received 'year' more than once"),
        (["sold", "at", "sold"], "`dates` should contain each name once. Received 'sold' more than once"),
        ({"sold": [1]}, "`dates` should name parts of dates"),
    ],
)  # fmt: skip
def test_invalid_dates(make_rows, dates, message):
    assert error_of(make_rows, SALES, dates=dates, features=["sqft"], error=OptionError).startswith(message)


@pytest.mark.parametrize("dates", [None, {"sold": ["year", "day"]}])
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("features", ["sqft", "sold.month"]),
        ("features", {"a": ["sqft"], "b": ["sold.month"]}),
        ("target", "sold.month"),
        ("exclude", ["sold.month"]),
        ("sample_weight", "sold.month"),
        ("missing", {"sold.month": 3}),
    ],
    ids=str,
)
def test_a_part_that_dates_does_not_name_is_answered_with_what_to_type(make_rows, dates, argument, value):
    options = {"features": ["sqft"], "dates": dates, argument: value}
    assert error_of(make_rows, SALES, error=OptionError, **options) == (
        f"`{argument}` names 'sold.month', a part of the date 'sold'. Name the part in `dates`: "
        "dates={'sold': ['month']}."
    )


def test_a_part_of_strings_that_look_like_dates_is_answered_too(make_rows):
    assert error_of(make_rows, SALES, error=OptionError, features=["at.hour"]).endswith(
        "`dates`: dates={'at': ['hour']}."
    )
    assert "a column that does not exist: 'sqft.month'." in error_of(
        make_rows, SALES, error=OptionError, features=["sqft.month"]
    )


@pytest.mark.parametrize("dates", [None, ["sold"], {"sold": ["day"]}])
def test_a_part_is_not_a_category_and_no_id(make_rows, dates):
    def message_of(**options):
        return error_of(make_rows, SALES, error=OptionError, features=["sqft"], dates=dates, **options)

    assert message_of(categorical=["sold.day"]).startswith("`categorical` names a part of a date, which is a number")
    assert message_of(ids=["sold.day"]) == (
        "`ids` should name a column of the data, and 'sold.day' is a part of a date. Name 'sold', or add a column with "
        "the part to the data."
    )


def test_a_date_and_its_parts_are_not_features_of_one_input(make_rows):
    dates = {"sold": ["year", "day"]}
    assert error_of(make_rows, SALES, dates=dates, features=["sold.day", "sqft", "sold"], error=OptionError) == (
        "`features` names a date and its parts, 'sold.day'. `dates` replaces the date by these parts. Name only the "
        "date, or only the parts."
    )
    features = {"a": ["sold"], "b": ["sold.year", "sqft"]}  # two inputs may share a column
    x = parts(make_rows(SALES, dates=dates, features=features))[0]
    assert x == {"a": [[2014, 13], [2015, 28]], "b": [[2014, 1000], [2015, 2000]]}


def test_dates_of_which_one_has_a_time_have_hours(make_rows):
    for cells, hours in (
        (["2014-10-13", "2014-10-14 18:30"], [0, 18]),
        (["20141013T1830", "2014-10-14"], [18, 0]),
        (["2014-10-13T00:00", "2014-10-14T00:00"], [0, 0]),
    ):
        content = "d,price\n" + "".join(f"{cell},1\n" for cell in cells)
        rows = make_rows(content, features=["d"], dtypes={"d": "ISO8601"}, dates={"d": ["hour"]})
        assert parts(rows)[0] == [[hour] for hour in hours]


def test_parts_that_a_format_does_not_have(make_rows):
    def message_of(content, **options):
        return error_of(make_rows, content, error=OptionError, features=["d"], **options)

    assert message_of("d,price\n2014-10-13,1\n", dates={"d": ["hour"]}) == (
        "`dates` names the hour of 'd', and its format '%Y-%m-%d' has none. Received: dates={'d': ['hour']}"
    )
    for part in ("hour", "minute", "second"):
        for cells in ("2014-10-13\n2014-10-14", "20141013\n?", "2014-W03-2\n"):
            content = "d,price\n" + "".join(f"{cell},1\n" for cell in cells.split("\n"))
            assert message_of(content, dtypes={"d": "ISO8601"}, dates={"d": [part]}) == (
                f"`dates` names the {part} of 'd', and its cells, such as {cells.split()[0]!r}, have none. "
                f"Received: dates={{'d': ['{part}']}}"
            )
    assert message_of("d,price\n9:15,1\n", dtypes={"d": "%H:%M"}, dates={"d": "year"}).startswith(
        "`dates` names the year of 'd', and its format '%H:%M' has none."
    )
    assert message_of("d,d.year,price\n2014-10-13,1,1\n", dates={"d": "year"}) == (
        "`dates` would add a feature 'd.year', and the data have a column of this name. Rename the column, for CSV "
        "files with column_names=[...]."
    )
    assert message_of("d,price\n2014-10-13,1\n", dates={"d": "year"}, categorical=["d.year"]) == (
        "`categorical` names a part of a date, which is a number: 'd.year'. Encode it in the model, such as with "
        "keras.layers.CategoryEncoding."
    )
