"""What every Sequence promises about `state_dict`: a new Sequence resumes with the next batch."""

import functools
import pickle

import inside_sequence as inside
import pytest
from contracts.numbered import LABELS, NumberedSamples
from contracts.reading import (
    add_noise,
    as_bytes,
    assert_rejects,
    assert_resumes_everywhere,
    given_and_states,
    resumed,
    saved,
)

from keras_oocore.core.errors import DataError, OptionError


class StateContract(NumberedSamples):
    """Tests of `state_dict`."""

    @pytest.mark.parametrize(("shuffle", "batch_size", "workers"), [(True, 4, 2), (False, 3, 2), ("block", 4, 0)])
    def test_a_small_json_state_resumes_with_the_next_batch(self, make, shuffle, batch_size, workers):
        options = dict(shuffle=shuffle, batch_size=batch_size, workers=workers, transform=add_noise)

        assert_resumes_everywhere(functools.partial(make, **options))

    def test_a_state_outside_a_loop_is_the_start_of_an_epoch(self, make):
        sequence = make(batch_size=2)
        places = [saved(sequence)]
        sequence[3]  # no place in a pass
        places.append(saved(sequence))
        list(sequence)
        places.append(saved(sequence))
        for index, _ in enumerate(sequence):
            if index == 2:
                break
        places.append(saved(sequence))

        assert [(place["epoch"], place["batches"]) for place in places] == [(0, 0), (0, 0), (1, 0), (2, 0)]
        for place in places:
            reference = make(batch_size=2)
            for _ in range(place["epoch"]):
                list(reference)
            assert resumed(functools.partial(make, batch_size=2), place, 5)[0] == as_bytes(reference)

    def test_state_dict_batches_counts_the_batches_that_were_used(self, make):
        sequence = make(batch_size=2)
        given = as_bytes(make(batch_size=2))
        stream = iter(sequence)
        for _ in range(4):
            next(stream)
        state = saved(sequence, batches=2)

        assert (state["epoch"], state["batches"]) == (0, 2)
        tail, again = resumed(functools.partial(make, batch_size=2), state, 3)
        assert tail == given[2:]
        again.load_state_dict(state)
        stream = iter(again)
        next(stream)
        assert saved(again, batches=1)["batches"] == 3  # of a pass that a state began with the third
        for wrong in (0, -1, 1.5, True):
            with pytest.raises(OptionError, match=f"`batches` should be a positive integer. Received: batches={wrong}"):
                sequence.state_dict(batches=wrong)

    def test_a_state_with_another_seed_is_an_error_unless_seed_is_none(self, make):
        state, other = saved(make(seed=7)), make(seed=8)

        assert_rejects(
            other, state, OptionError, "The state has seed=7, but this Sequence was made with seed=8. .*seed=None"
        )
        assert as_bytes(other) == as_bytes(make(seed=8))
        assert resumed(make, state, 3)[0] == as_bytes(make(seed=7))

    def test_a_state_of_other_data_is_an_error_that_names_the_difference(self, make):
        state = saved(make())

        for options, message in (
            (dict(batch_size=5), "batch_size was 4, is 5"),
            (dict(shuffle=False), "shuffle was True, is False"),
            (dict(shuffle="block"), "shuffle was True, is 'block'"),
            (dict(last_batch="drop"), "last_batch was 'keep', is 'drop'"),
            (
                dict(labels=LABELS[::-1]),
                r"labels was '\(10,\) int\d+ with CRC-32 (\w+)', is '\(10,\) int\d+ with CRC-32 (?!\1)",
            ),
            (dict(labels=None), "labels was '.*', is None"),
            (
                dict(validation_split=0.3, subset="training", seed=7),
                "num_samples was 10, is 7; (files|rows taken) was ",
            ),
        ):
            assert_rejects(make(**{"seed": None, **options}), state, DataError, f"belongs to other data: .*{message}")

    def test_a_state_of_another_subset_is_an_error(self, make):
        halves = [make(validation_split=0.5, subset=subset) for subset in ("training", "validation")]

        for here, there in (halves, halves[::-1]):
            assert_rejects(here, saved(there), DataError, "(files|rows taken) was '(.*)', is '(?!\\2')")
            here.load_state_dict(saved(here))

    def test_an_invalid_state_is_an_error(self, make):
        sequence, state = make(), saved(make())

        for wrong in (None, {}, [], "0", [state], {**state, "fingerprint": None}):
            assert_rejects(
                sequence, wrong, OptionError, "`state` should be what `state_dict\\(\\)` returned. Received: "
            )
        for key in state:
            lacking = {name: value for name, value in state.items() if name != key}
            assert_rejects(sequence, lacking, OptionError, "should be what `state_dict")
        for key, value in (
            ("seed", -1),
            ("epoch", -1),
            ("batches", -1),
            ("batches", 4),
            ("epoch", 0.5),
            ("seed", None),
        ):
            wrong = {**state, key: value}
            message = f"and at most 3 batches. Received: .*'{key}': {value}"
            assert_rejects(sequence, wrong, OptionError, message)

    def test_load_state_dict_discards_batches_made_ahead(self, make):
        options = dict(batch_size=2, transform=add_noise)
        given, states = given_and_states(make(**options), 3)
        sequence = make(**options, workers=2, seed=None)
        for used in (1, 8, 8, 3, 0):
            stream = iter(sequence)
            next(stream)
            assert inside.wait_for_batches_ahead(sequence)  # batches of another position or seed
            stream.close()
            sequence.load_state_dict(states[used])
            assert as_bytes(sequence) + as_bytes(sequence) == given[used:][: 10 - used % 5]

    def test_a_copy_pickled_within_an_epoch_loads_a_state(self, make):
        given, states = given_and_states(make(transform=add_noise), 2)
        sequence = make(transform=add_noise, seed=None, workers=2)
        stream = iter(sequence)
        next(stream)
        again = pickle.loads(pickle.dumps(sequence))
        again.load_state_dict(states[4])

        assert as_bytes(again) == given[4:]
        assert (again.seed, saved(again)["epoch"]) == (7, 2)
        assert len(list(stream)) == 2  # the original continues
