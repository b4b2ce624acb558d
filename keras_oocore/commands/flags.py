"""Translates the arguments that messages of the package name into the options of the command line."""

import argparse
import ast
import re
import shlex

VALUE = r"""("[^"]*"|'[^']*'|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|[^\s,;)`]+?(?=[.,;:)`]*(?:\s|$)))"""
WITHOUT = {"labels": "--no-labels", "target": "--no-labels"}  # what means `None` for an argument
ONLY_IN_PYTHON = (" to Manifest.from_directory",)
OFFERS = {  # what messages offer, by the option that a command may not have
    "on_error": ', or pass on_error="skip" or "replace"',
    "labels": ", or pass labels=None for samples without labels",
}


def in_flags(message: str, parser: argparse.ArgumentParser) -> str:
    """Return a message with the options of a command instead of the arguments of Python.

    Args:
        message: A message such as ``"`seed` should be an integer. Received: seed=-1"``.
        parser: The parser of the command.

    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--image-size"), parser.add_argument("--stratify", action="store_true")
    >>> in_flags("`image_size` is wrong: pass image_size=(80, 80), or stratify=False.", parser)
    '--image-size is wrong: pass --image-size 80 80, or --no-stratify.'
    """
    for words in ONLY_IN_PYTHON:
        message = message.replace(words, "")
    names = {action.dest for action in parser._actions}
    for name, words in OFFERS.items():
        message = message if name in names else message.replace(words, "")
    message = message.replace('on_error="skip" or "replace"', 'on_error="skip" or on_error="replace"')
    for action in parser._actions:
        flag = next((flag for flag in action.option_strings if flag.startswith("--")), action.dest.upper())
        name = re.escape(action.dest)
        message = re.sub(
            rf"`?(?<![\w.]){name}={VALUE}`?", lambda found, a=action, f=flag: _typed(a, f, found[1]), message
        )
        message = re.sub(f"`{name}`", flag, message)
    return message


def _typed(action: argparse.Action, flag: str, value: str) -> str:
    """Return what to type for an argument with this value."""
    if value == "None":
        return WITHOUT.get(action.dest, f"no {flag}")
    if value == "True":
        return f"no {flag}" if action.const is False else flag
    if value == "False":
        return f"--no-{flag.removeprefix('--').removeprefix('no-')}"
    words = _words(value)
    return " ".join([flag, *words]) if action.option_strings else " ".join(words)


def _words(value: str) -> list[str]:
    """Return the words of a terminal for a value of Python, quoted where a shell requires it.

    >>> _words("[..., '2,570', 'not known']"), _words("{'date': FORMAT}")
    (['...', '2,570', "'not known'"], ['date=FORMAT'])
    >>> _words("{'sold': ['days', 'hour']}")
    ['sold=days,hour']
    """
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError):  # not a literal, such as a word in capitals that stands for a value
        value = re.sub(r"['\"]: ['\"]?", "=", value)  # of a dictionary
        return re.sub(r"[\[\](){}\"',]", " ", value).split()
    if isinstance(literal, dict):
        literal = [
            f"{name}={','.join(content) if isinstance(content, list) else content}" for name, content in literal.items()
        ]
    many = literal if isinstance(literal, (list, tuple)) else [literal]
    return ["..." if word is ... else "','" if word == "," else shlex.quote(str(word)) for word in many]
