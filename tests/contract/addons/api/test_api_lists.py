"""Pages and tokens: of lists, and of requests that must not be done twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from api_site import ROLE, Site
from botocore.exceptions import ClientError

NAME = {"addonName": "vpc-cni"}


def test_pages_hold_everything_once(site: Site, eks: Any) -> None:
    names = {site.register(f"paged-{number:03}") for number in range(7)}
    pages = list(eks.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 3}))
    found = [name for page in pages for name in page["clusters"]]
    assert [len(page["clusters"]) <= 3 for page in pages] == [True] * len(pages)
    assert len(found) == len(set(found))
    assert names <= set(found)
    assert "nextToken" not in pages[-1]


def test_pages_of_what_a_cluster_has(site: Site, eks: Any, cluster: str) -> None:
    for number in range(3):
        eks.create_fargate_profile(
            fargateProfileName=f"profile-{number}",
            clusterName=cluster,
            podExecutionRoleArn=ROLE,
            selectors=[{"namespace": "default"}],
        )
        eks.create_pod_identity_association(
            clusterName=cluster, namespace="default", serviceAccount=f"sa-{number}", roleArn=ROLE
        )
    sized = {"clusterName": cluster, "PaginationConfig": {"PageSize": 2}}
    profiles = eks.get_paginator("list_fargate_profiles").paginate(**sized)
    assert [page["fargateProfileNames"] for page in profiles] == [["profile-0", "profile-1"], ["profile-2"]]
    associations = list(eks.get_paginator("list_pod_identity_associations").paginate(**sized))
    assert [len(page["associations"]) for page in associations] == [2, 1]
    assert {each["serviceAccount"] for page in associations for each in page["associations"]} == {
        "sa-0",
        "sa-1",
        "sa-2",
    }


def test_updates_come_newest_first_in_pages(site: Site, eks: Any, cluster: str) -> None:
    eks.create_addon(clusterName=cluster, **NAME)
    site.end_work()
    made = []
    for _ in range(5):
        made.append(eks.update_addon(clusterName=cluster, **NAME)["update"]["id"])
        site.end_work()
    pages = eks.get_paginator("list_updates").paginate(name=cluster, **NAME, PaginationConfig={"PageSize": 2})
    assert [page["updateIds"] for page in pages] == [[made[4], made[3]], [made[2], made[1]], [made[0]]]


def test_cluster_versions_come_in_pages(eks: Any) -> None:
    whole = eks.describe_cluster_versions(includeAll=True)["clusterVersions"]
    pages = eks.get_paginator("describe_cluster_versions").paginate(includeAll=True, PaginationConfig={"PageSize": 4})
    assert [each for page in pages for each in page["clusterVersions"]] == whole


def test_tokens_of_other_lists_are_refused(site: Site, eks: Any, cluster: str) -> None:
    for number in range(2):
        site.register(f"foreign-{number}")
    token = eks.list_clusters(maxResults=1)["nextToken"]
    assert eks.list_clusters(maxResults=2, nextToken=token)["clusters"]
    for call, members in (
        (eks.list_addons, {"clusterName": cluster}),
        (eks.list_updates, {"name": cluster}),
        (eks.list_fargate_profiles, {"clusterName": cluster}),
        (eks.list_pod_identity_associations, {"clusterName": cluster}),
        (eks.describe_addon_versions, {}),
        (eks.describe_cluster_versions, {}),
    ):
        with pytest.raises(ClientError, match="The nextToken is not one of this list") as caught:
            call(**members, nextToken=token)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


@pytest.mark.parametrize("token", ["x", "====", "ÄÖÜ", "A" * 5000, "AAAAAAAAAAAAAAAAAAAAAAAA", " "])
def test_tokens_that_are_none(eks: Any, token: str) -> None:
    with pytest.raises(ClientError, match="The nextToken is not one of this list"):
        eks.list_clusters(nextToken=token)


def test_the_same_request_gets_the_same_answer(site: Site, eks: Any, cluster: str) -> None:
    first = eks.create_addon(clusterName=cluster, **NAME, clientRequestToken="one", tags={"a": "b"})["addon"]
    site.end_work()
    again = eks.create_addon(clusterName=cluster, **NAME, clientRequestToken="one", tags={"a": "b"})["addon"]
    assert again == first, "the answer of then, not of now"
    assert site.store.leases.count() == 0
    update = eks.update_addon(clusterName=cluster, **NAME, clientRequestToken="two")["update"]
    assert eks.update_addon(clusterName=cluster, **NAME, clientRequestToken="two")["update"] == update
    site.end_work()
    assert eks.update_addon(clusterName=cluster, **NAME, clientRequestToken="two")["update"] == update
    assert eks.list_updates(name=cluster, **NAME)["updateIds"] == [update["id"]]
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["status"] == "ACTIVE"


def test_the_same_token_with_other_parameters_is_refused(site: Site, eks: Any, cluster: str) -> None:
    eks.create_addon(clusterName=cluster, **NAME, clientRequestToken="three")
    with pytest.raises(eks.exceptions.InvalidRequestException, match="was used before, with other parameters"):
        eks.create_addon(clusterName=cluster, **NAME, clientRequestToken="three", tags={"a": "b"})
    with pytest.raises(eks.exceptions.InvalidRequestException):
        eks.create_addon(clusterName=site.register("three"), **NAME, clientRequestToken="three")
    site.end_work()
    # Another operation may use it.
    eks.update_addon(clusterName=cluster, **NAME, clientRequestToken="three")


def test_a_refused_request_leaves_its_token_free(site: Site, eks: Any) -> None:
    late = "late-cluster"
    for _ in range(2):
        with pytest.raises(eks.exceptions.ResourceNotFoundException):
            eks.create_addon(clusterName=late, **NAME, clientRequestToken="four")
    site.register(late)
    assert eks.create_addon(clusterName=late, **NAME, clientRequestToken="four")["addon"]["status"] == "CREATING"


def at_once(call: Callable[[int], Any], count: int = 6) -> list[Any]:
    """Call in as many threads; return answers and exceptions."""

    def caught(number: int) -> Any:
        try:
            return call(number)
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(caught, range(count)))


def test_the_same_request_many_times_at_once_is_one(site: Site, eks: Any, cluster: str) -> None:
    members = {"clusterName": cluster, **NAME, "clientRequestToken": "six"}
    created = at_once(lambda _: eks.create_addon(**members)["addon"])
    assert created == [created[0]] * 6
    site.end_work()
    updated = at_once(lambda _: eks.update_addon(**members)["update"])
    assert updated == [updated[0]] * 6
    assert eks.list_updates(name=cluster, **NAME)["updateIds"] == [updated[0]["id"]]
    assert site.store.leases.count() == 1
    site.end_work()


def test_of_many_requests_at_once_one_is_accepted(site: Site, eks: Any, cluster: str) -> None:
    members = {"clusterName": cluster, **NAME}
    created = at_once(lambda _: eks.create_addon(**members)["addon"]["status"])
    assert sorted(created) == ["CREATING"] + ["ResourceInUseException"] * 5
    site.end_work()
    updated = at_once(lambda _: eks.update_addon(**members)["update"]["status"])
    assert sorted(updated) == ["InProgress"] + ["ResourceInUseException"] * 5
    site.end_work()


def test_tokens_of_the_other_operations(eks: Any, cluster: str) -> None:
    profile = {
        "fargateProfileName": "f",
        "clusterName": cluster,
        "podExecutionRoleArn": ROLE,
        "selectors": [{"namespace": "default"}],
        "clientRequestToken": "five",
    }
    assert eks.create_fargate_profile(**profile) | {"ResponseMetadata": 0} == eks.create_fargate_profile(**profile) | {
        "ResponseMetadata": 0
    }
    association = {
        "clusterName": cluster,
        "namespace": "default",
        "serviceAccount": "a",
        "roleArn": ROLE,
        "clientRequestToken": "five",
    }
    first = eks.create_pod_identity_association(**association)["association"]
    assert eks.create_pod_identity_association(**association)["association"] == first
    update = eks.update_cluster_version(name=cluster, version="1.30", clientRequestToken="five")["update"]
    assert eks.update_cluster_version(name=cluster, version="1.30", clientRequestToken="five")["update"] == update
    assert eks.describe_cluster(name=cluster)["cluster"]["version"] == "1.30"
