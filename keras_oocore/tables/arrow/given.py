"""Checks that columns can have the kinds and the time zones that the user or the training rows give them."""

from collections.abc import Sequence

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.dates import has_date
from keras_oocore.csv.moments import ISO
from keras_oocore.tables.arrow.kinds import can_be, zone_of
from keras_oocore.tables.arrow.part import Part


def require_kind(name: str, parts: Sequence[Part], kind: str, form: str | None) -> None:
    """Raise unless the column can be read as the given kind in all parts."""
    for part in parts:
        if not can_be(part.types[name], kind, form):
            wanted = "a date" if kind == "date" else kind
            raise OptionError(
                f"{part.name}: column {name!r} is of the type {part.types[name]}, which cannot be read as {wanted}. "
                f"Remove it from `dtypes`, or convert it to the kind of the training rows. Received: {name!r} as "
                f"{form or kind!r}"
            )


def require_zone(name: str, parts: Sequence[Part], form: str | None, zone: str | None) -> None:
    """Raise for moments with a time zone if those of the training rows have none, or the other way round."""
    if zone is None and (form is None or form == ISO or not has_date(form)):
        return  # not moments, or those of a CSV file that may have offsets from UTC
    has_zone = bool(zone) or "%z" in (form or "")
    for part in parts:
        found = zone_of(part.types[name])
        if found is not None and bool(found) != has_zone:
            of_training = f"{f'the time zone {zone!r}' if zone else 'an offset from UTC'}" if has_zone else "none"
            raise OptionError(
                f"{part.name}: column {name!r} has {f'the time zone {found!r}' if found else 'no time zone'}, and in "
                f"the training rows it has {of_training}, so hours and days would shift. Write it "
                f"{'in a time zone' if has_zone else 'without a time zone'}, such as with "
                f"frame[{name!r}].dt.tz_localize({(zone or 'UTC') if has_zone else None!r}) in pandas."
            )
