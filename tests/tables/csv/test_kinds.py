"""Kinds of columns, inferred from their cells."""

from csv_outcomes import looks_like

from keras_oocore.csv.cells import pa
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.tables.csv.kinds import infer_kind, present


def inferred(*texts, **options):
    options = CellOptions(**options)
    return infer_kind(present([pa.array(texts, pa.string())], options.null_values), options)


def kind(*texts, **options):
    found = inferred(*texts, **options)
    return found.kind, list(found.notes)


def test_numbers_and_booleans():
    assert kind("1", "2.5", None) == ("float32", [])
    assert kind(None, None) == ("float32", [])
    assert kind(*"123456789x") == ("float32", [])
    many = "read as strings, though many of its cells are numbers, because of 'x'. Fix: null_values=[..., 'x']"
    assert kind(*"12345678", "x") == ("string", [many])
    assert kind("1", *"abcd") == ("string", [])
    assert kind("1", "", " NA ") == ("float32", [])
    assert kind("True", "0", "yes") == ("bool", [])
    assert kind("0", "1") == ("float32", [])
    assert kind("1", "x", "y", "z", "z") == ("string", [])
    assert kind("1,5", decimal=",") == ("float32", [])
    assert kind("$1,234.50", "-$3", thousands=",", strip="$") == ("float32", [])
    assert kind("9223372036854775808")[1] == ["integers beyond 2^24, which float32 rounds, such as 9223372036854775808"]
    assert kind("1e300") == ("string", [])  # no float32
    assert kind("16777216", "1e30")[1] == []
    assert kind("16777217")[1] == ["integers beyond 2^24, which float32 rounds, such as 16777217"]
    assert kind("20141013", "20141014")[1] == [
        "integers beyond 2^24, which float32 rounds, such as 20141013. If they are dates, give their format in dtypes: "
        "'%Y%m%d'"
    ]
    assert kind("0.5", "0")[1] == []
    assert kind("98178", "007")[1] == ["numbers with leading zeros, which are lost, such as '007'"]


def test_strings_that_look_like_numbers():
    for texts, options, fix in (
        (("1,5", "2"), {}, "decimal=','"),
        (("1.5", "2"), dict(decimal=","), "decimal='.'"),
        (("1,500", "2"), {}, "thousands=','"),
        (("1,500", "1,5"), {}, "decimal=','"),
        (("1.234.567", "2"), {}, "decimal=',', thousands='.'"),
        (("$1,500", "2"), dict(thousands=","), "strip='$'"),
        (("$5", "€6"), {}, "strip='$€'"),
        (("1,5", *"23456789", *"abc"), {}, "decimal=',', null_values=[..., 'a']"),
        (("CHF 1'000.50", "CHF 2"), {}, """thousands="'", strip=['CHF']"""),
        (("5°C", "6°C"), {}, "strip=['°C']"),
        (("3 hours", "1 hour"), {}, "strip=['hours', 'hour']"),
        (("$5", "$6", "free"), {}, "strip='$', null_values=[..., 'free']"),
        (("1.5 GB", "500 MB"), {}, "convert them to one unit in the file; they have 'GB', 'MB'"),
        (("3.5M", "10k", "7"), {}, "write such numbers in full in the file, without 'M' (`strip` never scales)"),
    ):
        assert inferred(*texts, **options) == ("string", None, [looks_like(texts[0], fix)], True)


def test_names_with_digits_do_not_look_like_numbers():
    for texts in (
        ("Type 1", "Type 2"),
        ("12A", "12B", "3A"),
        ("18-24", "25-34"),
        ("1st", "2nd", "3rd"),
        ("10 Main St", "5 Oak St"),
        ("1.2.3.4", "1.2.3.5"),
        ("555-1234", "555-4321"),
        ("(5", "6)"),
        ("~5", ">6"),
        ("1:2", "3:4"),
    ):
        assert inferred(*texts) == ("string", None, (), False)


def test_dates_of_one_usual_format():
    for texts, form in (
        (("2014-10-13", "2014-02-28"), "%Y-%m-%d"),
        (("20141013T000000",), "%Y%m%dT%H%M%S"),
        (("2014-10-13T10:00:00.5Z",), "%Y-%m-%dT%H:%M:%S.%f%z"),
        (("2014-10-13 10:00:00", "2014-10-13 10:00:00.5"), "ISO8601"),
        (("2014-10-13", "2014-10-13 10:00"), "ISO8601"),
        (("1.2.2014",), "%d.%m.%Y"),
        (("1/2/2014", "1/13/2014"), "%m/%d/%Y"),
        (("1/2/2014 3:04 PM", "13/2/2014 3:04 am"), "%d/%m/%Y %I:%M %p"),
        (("13-Oct-2014",), "%d-%b-%Y"),
        (("May 3, 2014",), "%b %d, %Y"),
        (("10/Oct/2014:13:55:36 -0700",), "%d/%b/%Y:%H:%M:%S %z"),
    ):
        assert inferred(*texts) == ("date", form, (), False)


def test_strings_that_look_like_dates():
    for texts, fix in (
        (("1/2/2014",), "give their format in dtypes, such as '%m/%d/%Y' or '%d/%m/%Y'"),
        (("10:30", "9:05"), "give their format in dtypes, such as '%H:%M'"),
        (("1.2.14",), "give their format in dtypes, such as '%d.%m.%y'"),
        (
            ("2014-10-13",) * 9 + ("soon",),
            "give their format in dtypes, such as '%Y-%m-%d', and null_values=[..., 'soon']",
        ),
    ):
        assert inferred(*texts) == ("string", None, [looks_like(texts[0], fix, "dates")], True)
    assert inferred(*["2014-10-13"] * 9, "13.10.2014").notes == [
        "read as strings, though its cells look like dates, such as '2014-10-13' and '13.10.2014'. Fix: write them in "
        "one format, such as '%Y-%m-%d' and not '%d.%m.%Y'"
    ]
    assert inferred("2014-02-31", "2014-02-30").kind == "string"
