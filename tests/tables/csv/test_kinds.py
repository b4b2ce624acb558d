"""Kinds of columns, inferred from their cells."""

from keras_oocore.csv.cells import pa
from keras_oocore.tables.csv.kinds import infer_kind


def test_infer_kind():
    def kind(*texts, decimal="."):
        return infer_kind([pa.array(texts, pa.string())], decimal)

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
    basic = "'%Y%m%dT%H%M%S'"
    dates = "read as strings, though its cells look like dates, such as '20141013T000000'"
    assert kind("20141013T000000") == ("string", [f"{dates}. Fix: give their format in dtypes, such as {basic}"])
    assert [
        kind(date)[1][0].partition("such as ")[2].partition("such as ")[2] for date in ("1.2.2014", "1/2/2014")
    ] == [
        "'%d.%m.%Y'",
        "'%m/%d/%Y' or '%d/%m/%Y'",
    ]
    assert kind("1,5", decimal=",") == ("float32", [])
    looks = "read as strings, though its cells look like numbers, such as"
    assert kind("1,5", "2") == ("string", [f"{looks} '1,5'. Fix: decimal=','"])
    assert kind("1.5", "2", decimal=",") == ("string", [f"{looks} '1.5'. Fix: decimal='.'"])
    assert kind("1,500", "2") == ("string", [f"{looks} '1,500'. Fix: write them without the ',' between thousands"])
    assert kind("9223372036854775808")[1] == ["integers beyond 2^24, which float32 rounds, such as 9223372036854775808"]
    assert kind("1e300") == ("string", [])  # no float32
    assert kind("16777216", "1e30")[1] == []
    assert kind("16777217")[1] == ["integers beyond 2^24, which float32 rounds, such as 16777217"]
    assert kind("0.5", "0")[1] == []
    assert kind("98178", "007")[1] == ["numbers with leading zeros, which are lost, such as '007'"]
