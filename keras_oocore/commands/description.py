"""What `keras-oocore info` says about a path: lines for a person, facts for a program, and code that trains."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Description:
    """A description of what is stored at a path.

    Attributes:
        lines: Lines for a person.
        facts: The same for a program, as plain JSON.
        code: Lines of Python that run as they are, or `""`.
        advice: What to do, in words, if there is no code.
        found: Whether something is wrong with the data.
    """

    lines: list[str]
    facts: dict[str, Any]
    code: str = ""
    advice: str = ""
    found: bool = False
