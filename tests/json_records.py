"""Changes the values of a JSON record, as an older version or a person would have written it: without a checksum."""

import json


def change_record(path, **changes):
    """Change values of a record, and remove its checksum, which would no longer match."""
    values = json.loads(path.read_text())
    values.pop("crc32", None)
    path.write_text(json.dumps({**values, **changes}))
