"""Messages of the package in the words of the command line."""

import argparse

import pytest

from keras_oocore.commands.flags import in_flags


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    for flag in (
        "--image-size",
        "--null-values",
        "--labels",
        "--missing",
        "--dtypes",
        "--thousands",
        "--strip",
        "--exclude",
        "--dates",
        "--validation-split",
        "--on-error",
    ):
        parser.add_argument(flag)
    parser.add_argument("--stratify", action=argparse.BooleanOptionalAction)
    parser.add_argument("--no-shuffle", dest="shuffle", action="store_false")
    return parser


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`image_size` should be two integers. Received: image_size=(0, 3)", "--image-size 0 3"),
        ("Received: validation_split=0.2, and more", "Received: --validation-split 0.2, and more"),
        ("pass labels=None for samples without labels.", "pass --no-labels for samples without labels."),
        ("Received: validation_split=None.", "Received: no --validation-split."),
        ("Pass stratify=False, or stratify=True.", "Pass --no-stratify, or --stratify."),
        ("`shuffle=True`, or shuffle=False", "no --no-shuffle, or --no-shuffle"),
        ("or missing='mean'.", "or --missing mean."),
        ("dtypes={'city': '%Y-%m-%d'}.", "--dtypes city=%Y-%m-%d."),
        ("thousands=',', strip='$', which reads it as 5.", "--thousands ',', --strip '$', which reads it as 5."),
        ("strip=['()', 'USD'].", "--strip '()' USD."),
        ("exclude=['id', 'text']", "--exclude id text"),
        ("dates={'day': ['days', 'hour']}", "--dates day=days,hour"),
        ("null_values=[..., '2,570', 'not known'].", "--null-values ... 2,570 'not known'."),
        ("dtypes={'date': FORMAT} with the format", "--dtypes date=FORMAT with the format"),
        ('pass on_error="skip" or "replace".', "pass --on-error skip or --on-error replace."),
        ("`directory` is missing", "DIRECTORY is missing"),
        ("To choose the files, pass `labels` to Manifest.from_directory.", "To choose the files, pass --labels."),
        ("the val_missing=3 of missing_files", "the val_missing=3 of missing_files"),
    ],
)
def test_arguments_become_options(message, expected, parser):
    assert expected in in_flags(message, parser)


def test_options_that_a_command_does_not_have_are_not_offered():
    unreadable = 'Fix or remove it, or pass on_error="skip" or "replace".'
    assert in_flags(unreadable, argparse.ArgumentParser()) == "Fix or remove it."
    no_classes = "Put each class into a separate folder, or pass labels=None for samples without labels."
    assert in_flags(no_classes, argparse.ArgumentParser()) == "Put each class into a separate folder."
