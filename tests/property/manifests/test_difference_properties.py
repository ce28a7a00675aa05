"""What holds for the differences between any two objects."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpc_cni.manifests import ChangeKind, find_changes

# Rendering takes milliseconds, and more on a machine that does other things too: time is not what is tested.
CALM = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
_SCALARS = st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.none())
_NAMES = st.sampled_from(["name", "value", "image", "args", "data", "limits", "requests", "a.b/c"])
_ITEMS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"value": st.text(max_size=3)}),
    max_size=4,
    unique_by=lambda item: item["name"],
)


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keyed = st.fixed_dictionaries({}, optional={"env": _ITEMS, "volumes": _ITEMS})
    return st.one_of(st.dictionaries(_NAMES, children, max_size=4), st.lists(children, max_size=3), keyed)


OBJECTS = st.dictionaries(_NAMES, st.recursive(_SCALARS, _objects, max_leaves=12), max_size=5)


@CALM
@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(thing: dict[str, Any]) -> None:
    assert find_changes(thing, copy.deepcopy(thing)) == ()


@CALM
@given(OBJECTS, OBJECTS)
def test_the_other_direction_has_the_same_paths_with_sides_exchanged(one: dict[str, Any], two: dict[str, Any]) -> None:
    opposite = {ChangeKind.ADDED: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.ADDED}
    there, back = find_changes(one, two), find_changes(two, one)
    assert [(each.path, each.before, opposite.get(each.kind, each.kind)) for each in there] == [
        (each.path, each.after, each.kind) for each in back
    ]


@CALM
@given(OBJECTS, OBJECTS)
def test_paths_are_sorted_and_unique(one: dict[str, Any], two: dict[str, Any]) -> None:
    paths = [change.path for change in find_changes(one, two)]
    assert paths == sorted(set(paths))


@CALM
@given(_ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_keyed_items_never_matters(both: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    items, shuffled = both
    assert find_changes({"env": items}, {"env": shuffled}) == ()


@CALM
@given(_ITEMS, _ITEMS)
def test_only_items_that_differ_are_named(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> None:
    old, new = ({each["name"]: each.get("value", "") for each in items} for items in (one, two))
    expected = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    changes = find_changes({"env": [{"name": "z"}, *one]}, {"env": [{"name": "z"}, *two]})
    assert {change.path.split('"')[1] for change in changes} == expected
