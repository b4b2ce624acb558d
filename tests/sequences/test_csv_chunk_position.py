"""CSVChunkSequence: states that resume within a pass."""

import functools

from contracts.reading import (
    add_noise,
    as_bytes,
    assert_rejects,
    assert_resumes_everywhere,
    resumed,
    saved,
)
from csv_numbers import NUM_ROWS, cached
from products import few_of_product

from keras_oocore.core.errors import DataError, OptionError


@few_of_product(
    "cached, options",
    [
        *[(False, dict(memory_limit=3000)), (False, dict(shuffle=False)), (False, dict(workers=2, max_queue_size=8))],
        *[(True, dict(workers=2, max_queue_size=8)), (True, dict(last_batch="drop"))],
    ],
    [False, True],
    [dict(memory_limit=3000), dict(shuffle=False), dict(workers=2, max_queue_size=8), dict(last_batch="drop")],
)
def test_state_resumes_after_every_batch(open_csv, cached, options):
    opened = functools.partial(open_csv, cached=cached, batch_size=17, transform=add_noise)

    assert_resumes_everywhere(functools.partial(opened, **options))


@cached
def test_state_of_a_split_part_resumes_only_that_part(open_csv, cached):
    def part_of(number, seed=7):
        return open_csv(cached=cached, batch_size=17, seed=seed).split(0.4, seed=1)[number]

    for number in (0, 1):
        assert_resumes_everywhere(functools.partial(part_of, number))
    states = [saved(part_of(number)) for number in (0, 1)]
    for number in (0, 1):
        assert_rejects(
            part_of(number), states[1 - number], DataError, "the rows were the (training|validation) part of split"
        )
        assert_rejects(open_csv(), states[number], DataError, "num_samples was .*; the rows were the .*, are all rows")


def test_state_with_cache_and_without_are_not_interchangeable_if_shuffled(open_csv):
    with_cache, without = saved(open_csv(cached=True)), saved(open_csv())

    assert_rejects(
        open_csv(), with_cache, DataError, r"belongs to other data: blocks was None, is 15; blocks mixed was None"
    )
    assert_rejects(open_csv(cached=True), without, DataError, r"blocks was 15, is None; blocks mixed was \d+, is None")


def test_state_without_shuffle_does_not_depend_on_cache_or_workers(open_csv):
    states = [saved(open_csv(shuffle=False, workers=workers)) for workers in (0, 1, 4)]

    assert states[0] == states[1] == states[2] == saved(open_csv(shuffle=False, cached=True))


def test_state_of_other_rows_or_options_is_an_error_that_names_them(open_csv, write):
    state = saved(open_csv())
    for options, message in (
        (dict(batch_size=5), "batch_size was 4, is 5"),
        (dict(shuffle=False), "shuffle was True, is False"),
        (dict(last_batch="drop"), "last_batch was 'keep', is 'drop'"),
        (dict(memory_limit=3000), r"blocks mixed was \d+, is \d"),
        (dict(missing="nan"), "missing was 'error', is 'nan'"),
    ):
        assert_rejects(open_csv(**options), state, DataError, message)
    assert_rejects(open_csv(seed=8), state, OptionError, "has seed=7, but this Sequence was made with seed=8")
    write("x,city,y\n" + "1,Rome,2\n" * NUM_ROWS)
    assert_rejects(open_csv(), state, DataError, r"files was \['houses.csv, .* bytes'\], is \['houses.csv, ")


def test_state_does_not_depend_on_the_directory_of_the_files(open_csv, write, tmp_path):
    expected, state = as_bytes(open_csv())[:1], saved(open_csv())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "houses.csv").rename(tmp_path / "elsewhere" / "houses.csv")

    assert resumed(functools.partial(open_csv, data="elsewhere/houses.csv"), state, 1)[0][:1] == expected
