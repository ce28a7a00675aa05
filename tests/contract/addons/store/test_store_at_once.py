"""What happens at the same moment: one of each, and nobody fails for want of luck."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from vpc_cni.addons.model import AddonStatus, Association
from vpc_cni.addons.states import End
from vpc_cni.addons.store import LeaseLostError, NoClusterError, Store, Token, TokenReusedError

Make = Callable[..., Any]
ROUNDS = 12
_PATIENCE_SECONDS = 20.0


def at_once(*tasks: Callable[[], object]) -> list[object]:
    """Run tasks at the same time; return what each came to, an exception included."""
    barrier, outcomes = threading.Barrier(len(tasks)), [object()] * len(tasks)

    def run(number: int) -> None:
        barrier.wait(_PATIENCE_SECONDS)
        try:
            outcomes[number] = tasks[number]()
        except Exception as err:
            outcomes[number] = err

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE_SECONDS)
    return outcomes


def kinds(outcomes: Sequence[object]) -> list[str]:
    """Return what came of tasks: an exception by its name, an answer as it is."""
    return sorted(type(each).__name__ if isinstance(each, Exception) else str(each) for each in outcomes)


def association(id_: str, cluster: str = "prod", **changes: Any) -> Association:
    values: dict[str, Any] = {"namespace": "apps", "role_arn": "arn:aws:iam::111122223333:role/r"}
    values |= {"service_account": f"account-of-{id_}", "created_at": 1.5, "modified_at": 2.5}
    return Association(id_, cluster, **(values | changes))


def test_one_token_for_several_clusters_serves_one_and_is_refused_to_the_others(store: Store, cluster: Make) -> None:
    names = ["a", "b", "c"]
    for name in names:
        store.clusters.add(cluster(name))

    def ask(name: str, number: int) -> Callable[[], object]:
        token = Token("CreatePodIdentityAssociation", f"t-{number}", f"digest-{name}", name)
        return lambda: store.associations.add(association(f"a-{number}", name), token)

    for number in range(ROUNDS):
        outcomes = at_once(*(ask(name, number) for name in names))
        assert kinds(outcomes) == ["None", "TokenReusedError", "TokenReusedError"], outcomes


def test_one_token_twice_for_one_cluster_gets_one_answer(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())

    def ask(number: int, answer: str) -> Callable[[], object]:
        token = Token("CreatePodIdentityAssociation", f"t-{number}", "digest", answer)
        return lambda: store.associations.add(association(f"a-{number}-{answer}", service_account=f"s-{number}"), token)

    for number in range(ROUNDS):
        first, second = at_once(ask(number, "x"), ask(number, "y"))
        assert (first, second) in ((None, "x"), ("y", None))
    assert len(store.associations.find("prod").items) == ROUNDS


def test_one_token_for_clusters_that_are_none_is_refused_as_such(store: Store) -> None:
    def ask(name: str, number: int) -> Callable[[], object]:
        token = Token("CreatePodIdentityAssociation", f"t-{number}", f"digest-{name}", name)
        return lambda: store.associations.add(association("a-1", name), token)

    for number in range(ROUNDS):
        outcomes = at_once(*(ask(name, number) for name in ("a", "b", "c")))
        assert all(isinstance(each, NoClusterError) for each in outcomes), outcomes


def test_old_tokens_are_swept_by_many_at_once(store: Store, cluster: Make) -> None:
    """Each write sweeps some of the oldest: writers for different clusters meet there."""
    names = [f"c-{number}" for number in range(4)]
    for name in names:
        store.clusters.add(cluster(name))
    for number in range(60):
        store.associations.add(association(f"old-{number}", names[number % 4]), Token("Old", f"o-{number}", "d", "x"))
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE tokens SET created_at = 0")

    def ask(name: str, number: int) -> Callable[[], object]:
        token = Token("New", f"n-{number}-{name}", "digest", "x")
        return lambda: store.associations.add(association(f"new-{number}", name), token)

    for number in range(ROUNDS):
        assert at_once(*(ask(name, number) for name in names)) == [None] * 4


def test_a_change_that_is_repeated_is_answered_again_and_written_once(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())
    store.associations.add(association("a-1"))
    token = Token("UpdatePodIdentityAssociation", "t-1", "digest", "the answer")
    changed = association("a-1", role_arn="arn:aws:iam::111122223333:role/other", modified_at=9.0)
    assert store.associations.change(changed, token) is None
    assert store.associations.change(replace(changed, modified_at=10.0), token) == "the answer"
    assert store.associations.get("prod", "a-1").modified_at == 9.0
    with pytest.raises(TokenReusedError):
        store.associations.change(changed, replace(token, digest="other"))


def test_tags_written_since_a_role_was_looked_at_stay(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())
    store.associations.add(association("a-1"))
    seen = store.associations.get("prod", "a-1")
    store.tags.change("podidentityassociation/prod/a-1", {"team": "a"})
    store.associations.change(replace(seen, role_arn="arn:aws:iam::111122223333:role/other"))
    after = store.associations.get("prod", "a-1")
    assert (after.role_arn, after.tags) == ("arn:aws:iam::111122223333:role/other", {"team": "a"})


def test_a_cluster_registered_again_keeps_its_age_id_and_the_tags_of_meanwhile(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster(), b"old")
    store.tags.change("cluster/prod", {"more": "x"})
    store.clusters.replace(replace(cluster(), uid="other", created_at=5.0, endpoint="https://127.0.0.2:6443"), b"new")
    after = store.clusters.get("prod")
    assert (after.uid, after.created_at, after.endpoint) == ("uid-prod", 1000.5, "https://127.0.0.2:6443")
    assert after.tags == {"team": "a", "more": "x"}
    assert store.clusters.credential("prod") == b"new"
    with pytest.raises(NoClusterError):
        store.clusters.replace(cluster("none"), b"new")


def test_work_begins_anew_when_its_cluster_is_registered_again(
    store: Store, cluster: Make, addon: Make, operation: Make
) -> None:
    """What was applied was applied to the server of before."""
    store.clusters.add(cluster(), b"old")
    store.requests.accept_create(addon(), operation())
    store.looks.note_contact("prod", reached=False)
    lease = store.leases.claim("one", 60.0, unreachable=True)
    assert lease is not None
    store.leases.note_applied(lease, 600.0)
    store.clusters.replace(cluster(), b"new")
    with pytest.raises(LeaseLostError):
        store.leases.finish(lease, End.DONE)
    assert store.addons.get("prod", "vpc-cni").status is AddonStatus.CREATING
    again = store.leases.claim("two", 60.0, unreachable=False)
    assert again is not None, "it is due at once, and the new server counts as one that can be reached"
    assert again.operation.deadline == 0, "its objects are not applied"


def test_several_reads_show_one_moment(store: Store, cluster: Make) -> None:
    store.clusters.add(cluster())
    count = "SELECT count(*) FROM clusters"
    with store._database.reading() as connection:
        assert connection.exec_driver_sql(count).scalar() == 1
        store.clusters.add(cluster("other"))
        assert connection.exec_driver_sql(count).scalar() == 1
    with store._database.reading() as connection:
        assert connection.exec_driver_sql(count).scalar() == 2


def test_a_cluster_is_forgotten_while_its_work_ends(
    postgresql_store: tuple[str, Store], cluster: Make, addon: Make, operation: Make
) -> None:
    """Who ends work writes operation and add-on, in this order; who forgets a cluster must not do it the other way."""
    url, store = postgresql_store
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE clusters, tokens CASCADE")
    store.clusters.add(cluster())
    store.requests.accept_create(addon(), operation())
    forgetting = threading.Thread(target=lambda: store.clusters.remove("prod", with_everything=True))
    with psycopg.connect(url) as ending, psycopg.connect(url, autocommit=True) as watching:
        ending.execute("UPDATE operations SET lease_until = 0")
        forgetting.start()
        end = time.monotonic() + _PATIENCE_SECONDS
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        while watching.execute(waiting).fetchone() is None:
            assert time.monotonic() < end, "nobody waits"
        ending.execute("UPDATE addons SET status = 'ACTIVE'")
        ending.commit()
    forgetting.join(_PATIENCE_SECONDS)
    with pytest.raises(NoClusterError):
        store.clusters.get("prod")
