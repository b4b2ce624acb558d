"""Groups files that are copies of each other, and finds groups with several classes and copies in other data."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_oocore.checks.inputs import Input
from keras_oocore.checks.measured import Measured, first_of_equal
from keras_oocore.checks.near import near_pairs
from keras_oocore.checks.report import Copies, Leak


@dataclass(frozen=True)
class Links:
    """Which files are copies, as numbers of groups. Files with the same number are copies.

    Attributes:
        group: Copies of all kinds, `int64` of shape `(num_files,)`.
        upright: Without the pairs of which one is mirrored.
        exact: Files of equal content.
        is_blank: Images of one color, which are one group.
        num_skipped: How many pictures could not be compared with all that resemble them.
    """

    group: np.ndarray
    upright: np.ndarray
    exact: np.ndarray
    is_blank: np.ndarray
    num_skipped: int


def link_copies(measured: Measured, images: bool, mirrored: bool) -> Links:
    """Find all copies.

    Args:
        measured: The measures of the files.
        images: Whether to compare pictures, too.
        mirrored: Whether to find mirrored copies, too.
    """
    num_files = measured.num_files
    exact, blank = _equal_contents(measured), np.zeros(num_files, bool)
    itself = np.arange(num_files)
    upright = [np.stack([itself, exact], axis=1)[itself != exact]]
    turned, num_skipped = np.empty((0, 2), np.int64), 0
    if images:
        blank = measured.is_blank
        blanks = np.flatnonzero(blank)
        upright.append(np.stack([np.full_like(blanks, blanks[0] if len(blanks) else 0), blanks], axis=1))
        ones = np.flatnonzero(measured.has_picture & ~blank & (itself == exact))
        signatures = measured.signatures if len(ones) == num_files else measured.signatures[ones]  # may be large
        pairs, is_mirrored, num_skipped = near_pairs(signatures, mirrored)
        pairs = ones[pairs]
        upright.append(pairs[~is_mirrored])
        turned = pairs[is_mirrored]
    edges = np.concatenate(upright)
    group = _components(np.concatenate([edges, turned]), num_files)
    return Links(group, _components(edges, num_files) if len(turned) else group, exact, blank, num_skipped)


def _equal_contents(measured: Measured) -> np.ndarray:
    """Return the number of the first file with the content of each file, `int64` of shape `(num_files,)`."""
    first = np.arange(measured.num_files)
    sound = measured.has_digest.copy()
    for i in measured.bad:
        sound[i] &= measured.has_picture[i]  # files that cannot be read are removed anyway
    files = np.flatnonzero(sound)
    first[files] = files[first_of_equal([measured.size_bytes[files], *measured.digests[files].T])]
    return first


def _components(edges: np.ndarray, num_files: int) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(edges), bool)
    graph = coo_array((ones, (edges[:, 0], edges[:, 1])), shape=(num_files, num_files))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def groups_of(links: Links, num_files: int) -> np.ndarray:
    """Return the group of each of the first files, numbered from 0, `int64` of shape `(num_files,)`."""
    return np.unique(links.group[:num_files], return_inverse=True)[1].reshape(-1).astype(np.int64)


def copies_within(links: Links, data: Input, num_files: int) -> list[Copies]:
    """Return the groups of at least two of the first files, in the order of their first files."""
    found = []
    for members in _groups(links.group[:num_files]):
        named = sorted((data.file(i), i) for i in members.tolist())
        classes = tuple(data.class_name(i) for _, i in named)
        found.append((int(members[0]), Copies(tuple(name for name, _ in named), classes, _kind(links, members))))
    return [copies for _, copies in sorted(found, key=lambda item: item[0])]


def leaks_between(links: Links, data: Input, against: Input, num_files: int) -> list[Leak]:
    """Return the first files that have copies among the others, each with the copy that is most like it."""
    leaks = []
    for members in _groups(links.group):
        others = members[members >= num_files]
        if not len(others) or len(others) == len(members):
            continue
        equal, alike = ({}, {})
        for other in others[::-1].tolist():  # the first one counts
            equal[links.exact[other]] = alike[links.upright[other]] = other
        for i in members[members < num_files].tolist():
            other = equal.get(links.exact[i], alike.get(links.upright[i], int(others[0])))
            kind = _kind(links, np.array([i, other]))
            classes = (data.class_name(i), against.class_name(other - num_files))
            leaks.append((i, Leak(data.file(i), against.file(other - num_files), kind, classes)))
    return [leak for _, leak in sorted(leaks, key=lambda item: item[0])]


def _kind(links: Links, members: np.ndarray) -> str:
    if links.is_blank[members].all():
        return "blank"
    if (links.exact[members] == links.exact[members[0]]).all():
        return "exact"
    return "near" if (links.upright[members] == links.upright[members[0]]).all() else "mirrored"


def _groups(group: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the members of each group with at least two, in rising order."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0]) if len(order) else np.empty(0, np.int64)
    ends = np.r_[starts[1:], len(order)]
    for k in np.flatnonzero(ends - starts > 1).tolist():
        yield order[starts[k] : ends[k]]
