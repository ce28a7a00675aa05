"""What is written is read back; what cannot be is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from vpc_cni.addons.model import (
    AddonStatus,
    Association,
    FargateProfile,
    FargateSelector,
    Network,
)
from vpc_cni.addons.states import End
from vpc_cni.addons.store import (
    AddonBusyError,
    AssociationExistsError,
    ClusterExistsError,
    ClusterInUseError,
    NoAddonError,
    NoAssociationError,
    NoClusterError,
    NoProfileError,
    NoResourceError,
    NoUpdateError,
    ProfileExistsError,
    Store,
    Token,
    TokenReusedError,
)

Make = Callable[..., Any]
OWNER = "arn:aws:eks:eu-west-1:111122223333:addon/prod/vpc-cni/addon-uid"


def association(id_: str, account: str = "aws-node", **changes: Any) -> Association:
    values: dict[str, Any] = {"namespace": "kube-system", "role_arn": "arn:aws:iam::111122223333:role/r"}
    return Association(id_, "prod", service_account=account, created_at=1.5, modified_at=2.5, **(values | changes))


def profile(name: str) -> FargateProfile:
    selectors = (FargateSelector("apps", {"a": "b"}), FargateSelector("more"))
    return FargateProfile(name, "prod", f"uid-{name}", "arn:role", ("subnet-1",), selectors, "ACTIVE", 1.0, {"k": "v"})


def test_a_cluster_is_read_as_it_was_written(store: Store, cluster: Make) -> None:
    written = replace(cluster(), network=Network("ipv6", "fd00::/108", "vpc-1", ("subnet-1", "subnet-2"), ("sg-1",)))
    store.clusters.add(written, b"\x00sealed")
    assert store.clusters.get("prod") == written
    assert store.clusters.credential("prod") == b"\x00sealed"


def test_a_cluster_is_registered_once(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())
    with pytest.raises(ClusterExistsError):
        store.clusters.add(cluster(), b"other")
    assert store.clusters.credential("prod") is None


def test_a_cluster_changes_and_goes(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster(), b"old")
    assert store.clusters.change("prod", {"version": "1.30"}).version == "1.30"
    store.clusters.replace(replace(cluster(), version="1.31"), b"new")
    assert store.clusters.credential("prod") == b"new"
    assert store.clusters.remove("prod").version == "1.31"
    for call in (store.clusters.get, store.clusters.remove, lambda name: store.clusters.change(name, {"version": "1"})):
        with pytest.raises(NoClusterError):
            call("prod")


def test_a_cluster_with_an_addon_or_profile_stays_unless_all_goes(
    store: Store, cluster: Make, addon: Make, operation: Make
) -> None:
    store.clusters.add(cluster())
    store.requests.accept_create(addon(), operation())
    store.profiles.add(profile("p"))
    with pytest.raises(ClusterInUseError) as refused:
        store.clusters.remove("prod")
    assert refused.value.by == ("add-on vpc-cni", "Fargate profile p")
    store.clusters.remove("prod", with_everything=True)
    assert store.leases.count() == 0


def test_pages_hold_everything_once_in_order(store: Store, cluster: Make) -> None:
    names = [f"c-{number:02}" for number in range(7)]
    for name in reversed(names):
        store.clusters.add(cluster(name))
    found, after, pages = list[str](), "", 0
    while True:
        page = store.clusters.list_names(after, limit=3)
        found, after, pages = [*found, *page.items], page.next, pages + 1
        if not after:
            break
    assert (found, pages) == (names, 3)


def test_a_page_that_ends_exactly_at_the_end_has_no_next(store: Store, cluster: Make) -> None:
    for name in ("a", "b"):
        store.clusters.add(cluster(name))
    assert store.clusters.list_names(limit=2).next == ""


def test_what_is_not_there_is_named(store: Store, cluster: Make) -> None:
    with pytest.raises(NoClusterError):
        store.addons.get("prod", "vpc-cni")
    store.clusters.add(cluster())
    with pytest.raises(NoAddonError):
        store.addons.get("prod", "vpc-cni")
    with pytest.raises(NoUpdateError):
        store.updates.get("prod", "x", "vpc-cni")
    with pytest.raises(NoAssociationError):
        store.associations.get("prod", "a-1")
    with pytest.raises(NoProfileError):
        store.profiles.get("prod", "p")
    for lists in (store.addons.list_names, store.updates.list_ids, store.associations.find, store.profiles.list_names):
        with pytest.raises(NoClusterError):
            lists("other")


def test_updates_come_newest_first_and_those_of_a_cluster_apart(store: Store, cluster: Make, update: Make) -> None:
    store.clusters.add(cluster())
    for number in (1, 3, 2):
        made = update(f"u-{number}", addon=None, type="VersionUpdate", created_at=100.25 + number)
        store.requests.accept_cluster_update(made, {"version": "1.30"})
    first = store.updates.list_ids("prod", limit=2)
    assert first.items == ("u-3", "u-2")
    assert store.updates.list_ids("prod", after=first.next).items == ("u-1",)
    assert store.updates.list_ids("prod", "vpc-cni").items == ()
    assert store.clusters.get("prod").version == "1.30"
    with pytest.raises(NoUpdateError):
        store.updates.get("prod", "u-1", "vpc-cni")


def test_a_profile_is_read_as_it_was_written(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())
    store.profiles.add(profile("p"))
    assert store.profiles.get("prod", "p") == profile("p")
    assert store.profiles.list_names("prod").items == ("p",)
    with pytest.raises(ProfileExistsError):
        store.profiles.add(profile("p"))
    assert store.profiles.remove("prod", "p") == profile("p")
    with pytest.raises(NoProfileError):
        store.profiles.remove("prod", "p")


def test_a_service_account_has_one_association(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())
    store.associations.add(association("a-1", tags={"k": "v"}))
    with pytest.raises(AssociationExistsError) as refused:
        store.associations.add(association("a-2"))
    assert refused.value.association == "a-1"
    store.associations.change(association("a-1", role_arn="other"))
    assert store.associations.get("prod", "a-1").role_arn == "other"
    assert [each.id for each in store.associations.find("prod", namespace="kube-system").items] == ["a-1"]
    assert store.associations.find("prod", service_account="nobody").items == ()
    assert store.associations.remove("prod", "a-1").id == "a-1"


def test_an_addon_owns_the_associations_it_came_with(
    store: Store, cluster: Make, addon: Make, operation: Make, update: Make
) -> None:
    store.clusters.add(cluster())
    store.associations.add(association("a-0", "stranger"))
    store.requests.accept_create(addon(), operation(), [association("a-1", owner=OWNER)])
    assert store.addons.get("prod", "vpc-cni").associations == ("a-1",)
    settle(store)
    seen = store.addons.get("prod", "vpc-cni")
    other = [association("a-2", owner=OWNER)]
    store.requests.accept_update(seen, seen, update(), operation(), associations=other)
    assert store.addons.get("prod", "vpc-cni").associations == ("a-2",)
    assert [each.id for each in store.associations.find("prod").items] == ["a-0", "a-2"]


def test_an_addon_does_not_come_when_a_stranger_has_its_account(
    store: Store, cluster: Make, addon: Make, operation: Make
) -> None:
    store.clusters.add(cluster())
    store.associations.add(association("a-0"))
    with pytest.raises(AssociationExistsError):
        store.requests.accept_create(addon(), operation(), [association("a-1", owner=OWNER)])
    with pytest.raises(NoAddonError):
        store.addons.get("prod", "vpc-cni")
    assert store.leases.count() == 0


@pytest.mark.parametrize(
    "resource", ["cluster/prod", "addon/prod/vpc-cni/addon-uid", "podidentityassociation/prod/a-1"]
)
def test_tags_change_by_arn(store: Store, cluster: Make, addon: Make, operation: Make, resource: str) -> None:
    store.clusters.add(replace(cluster(), tags={}))
    store.requests.accept_create(addon(), operation(), [association("a-1", owner=OWNER)])
    store.tags.change(resource, {"a": "1", "b": "2"})
    store.tags.change(resource, {"c": "3"}, remove=["a", "never-there"])
    assert store.tags.get(resource) == {"b": "2", "c": "3"}


@pytest.mark.parametrize(
    "resource", ["cluster/other", "addon/prod/vpc-cni/other-uid", "addon/prod", "nodegroup/prod/x", "", "cluster"]
)
def test_tags_of_nothing_are_refused(store: Store, cluster: Make, addon: Make, operation: Make, resource: str) -> None:
    store.clusters.add(cluster())
    store.requests.accept_create(addon(), operation())
    with pytest.raises(NoResourceError):
        store.tags.get(resource)
    with pytest.raises(NoResourceError):
        store.tags.change(resource, {"a": "b"})


def test_tags_stay_when_the_check_says_no(store: Store, cluster: Make) -> None:
    def check(tags: Any) -> None:
        raise ValueError(len(tags))

    store.clusters.add(cluster())
    with pytest.raises(ValueError, match="2"):
        store.tags.change("cluster/prod", {"more": "x"}, check=check)
    assert store.tags.get("cluster/prod") == {"team": "a"}


def test_a_repeated_request_gets_the_first_answer_and_writes_nothing(
    store: Store, cluster: Make, addon: Make, operation: Make
) -> None:
    store.clusters.add(cluster())
    token = Token("CreateAddon", "t-1", "digest", "the answer")
    assert store.requests.accept_create(addon(), operation(), token=token) is None
    again = Token("CreateAddon", "t-1", "digest", "another answer")
    assert store.requests.accept_create(addon(), operation(), token=again) == "the answer"
    assert store.requests.recall("CreateAddon", "t-1", "digest") == "the answer"
    assert store.leases.count() == 1


def test_a_token_with_other_parameters_is_refused(store: Store, cluster: Make, addon: Make, operation: Make) -> None:
    store.clusters.add(cluster())
    store.requests.accept_create(addon(), operation(), token=Token("CreateAddon", "t-1", "digest", "x"))
    with pytest.raises(TokenReusedError):
        store.requests.accept_create(addon(), operation(), token=Token("CreateAddon", "t-1", "other", "x"))
    assert store.requests.recall("UpdateAddon", "t-1", "other") is None


def test_a_refused_request_uses_up_no_token(store: Store, cluster: Make, addon: Make, operation: Make) -> None:
    token = Token("CreateAddon", "t-1", "digest", "x")
    with pytest.raises(NoClusterError):
        store.requests.accept_create(addon(), operation(), token=token)
    store.clusters.add(cluster())
    assert store.requests.accept_create(addon(), operation(), token=token) is None


def settle(store: Store) -> None:
    """End the one operation there is as a success."""
    lease = store.leases.claim("tests", 10, unreachable=False)
    assert lease is not None
    store.leases.finish(lease, End.DONE)


def test_an_update_from_an_outdated_view_is_refused(
    store: Store, cluster: Make, addon: Make, operation: Make, update: Make
) -> None:
    store.clusters.add(cluster())
    store.requests.accept_create(addon(), operation())
    settle(store)
    seen = store.addons.get("prod", "vpc-cni")
    store.requests.accept_update(seen, replace(seen, version="v2"), update(), operation())
    settle(store)
    with pytest.raises(AddonBusyError):
        store.requests.accept_update(seen, replace(seen, version="v3"), update("u-2"), operation())
    after = store.addons.get("prod", "vpc-cni")
    assert (after.version, after.status) == ("v2", AddonStatus.ACTIVE)
