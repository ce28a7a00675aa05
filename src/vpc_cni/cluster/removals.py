"""What the old version made and the new one lacks. Pure.

A server-side apply removes only what its own manager applied before. After the manifests of others that is nothing: the
policy agent with its volumes would stay, or ``privileged``. So what goes is found by comparing plain forms of both
versions, and taken away by a rewrite (:mod:`~vpc_cni.cluster.rewriting`) where an apply would leave it.
"""

from collections.abc import Iterator

from vpc_cni.cluster.fields import ABSENT, find_field, item_step, parse_path
from vpc_cni.cluster.owners import find_owners
from vpc_cni.manifests import Change, ChangeKind, Manifest, find_changes
from vpc_cni.manifests.difference import LIST_KEYS


def find_removals(live: Manifest, base: Manifest | None, wanted: Manifest) -> tuple[str, ...]:
    """Return the paths of what is live, was made by the old version, and is not wanted any more; sorted.

    What nobody owns is a default of the API server, which would be there again at once: it is none of these.

    Args:
        base: the object as the old version makes it without settings; None where that has no such object.
    """
    if base is None:
        return ()
    return tuple(
        path
        for change in find_changes(base, wanted)
        if change.kind is ChangeKind.REMOVED
        for path in _parts(change)
        if find_field(live, path) is not ABSENT and find_owners(live, path)
    )


def _parts(change: Change) -> Iterator[str]:
    """Yield the field; of a list with keys its items, beside which others may have put theirs."""
    field = parse_path(change.path)[-1]
    if isinstance(field, str) and field in LIST_KEYS and isinstance(change.before, list):
        yield from (change.path + item_step(field, each) for each in change.before)
    else:
        yield change.path
