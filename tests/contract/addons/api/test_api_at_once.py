"""The same token at the same moment, on PostgreSQL as on SQLite: an answer or a refusal, and never a failure."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_site import ROLE, Site, running
from botocore.exceptions import ClientError

from tests.contract.addons.conftest import new_database

ROUNDS = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    url = new_database(request.getfixturevalue("postgresql")) if request.param == "postgresql" else ""
    with running(tmp_path, store_url=url) as site:
        yield site


def at_once(*calls: Callable[[], str]) -> list[str]:
    """Make calls at the same time; return their answers, and of those that were refused the code."""
    barrier, outcomes = threading.Barrier(len(calls)), [""] * len(calls)

    def make(number: int) -> None:
        barrier.wait(20)
        try:
            outcomes[number] = calls[number]()
        except ClientError as err:
            outcomes[number] = str(err.response["Error"]["Code"])

    threads = [threading.Thread(target=make, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return outcomes


def creation(site: Site, cluster: str, token: str) -> Callable[[], str]:
    client = site.client()
    members = {"addonName": "vpc-cni", "serviceAccountRoleArn": ROLE, "clientRequestToken": token}
    return lambda: str(client.create_addon(clusterName=cluster, **members)["addon"]["addonArn"])


def test_one_token_for_two_clusters(served: Site) -> None:
    for number in range(ROUNDS):
        names = [served.register(f"c-{number}-{which}") for which in "ab"]
        outcomes = at_once(*(creation(served, name, f"token-{number}") for name in names))
        assert sorted(outcome.split(":")[0] for outcome in outcomes) == ["InvalidRequestException", "arn"]


def test_one_token_twice_for_one_cluster(served: Site) -> None:
    for number in range(ROUNDS):
        name = served.register(f"c-{number}")
        first, second = at_once(*(creation(served, name, f"token-{number}") for _ in range(2)))
        assert first == second
        assert first.startswith("arn:")
