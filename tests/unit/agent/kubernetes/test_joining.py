"""How the agent finds its cluster: at once, later, or not at all."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.kubernetes import check_annotations, join_cluster
from vpc_cni.errors import ConfigurationError
from vpc_cni.kube import ClusterAccess
from vpc_cni.settings import KubernetesSettings

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "172.20.0.1"}


class Waiting:
    """A clock that only counts, and what happens in the n-th wait."""

    def __init__(self, **happens: Callable[[], object]) -> None:
        self.seconds: list[float] = []
        self._happens = happens

    async def pause(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._happens.get(f"wait_{len(self.seconds)}", lambda: None)()


def join(
    account: Path, waiting: Waiting, errors: ErrorsSeen, settings: KubernetesSettings | None = None
) -> ClusterAccess | None:
    return asyncio.run(
        join_cluster(
            settings or KubernetesSettings(),
            IN_A_POD,
            errors=errors,
            chance=lambda: 1.0,
            account=account,
            pause=waiting.pause,
        )
    )


def test_a_token_that_comes_late_is_taken_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    waiting, errors = Waiting(wait_8=(tmp_path / "token").touch), ErrorsSeen()
    access = join(tmp_path, waiting, errors)
    assert access is not None
    assert (access.server, access.token_file) == ("https://172.20.0.1:443", tmp_path / "token")
    assert waiting.seconds == [1, 2, 4, 8, 16, 30, 30, 30]
    (seen,) = errors.as_json()
    assert seen["operation"] == "join cluster"
    assert f"{tmp_path}/token is missing" in seen["message"]
    assert [record.levelname for record in caplog.records] == ["ERROR"], "the same trouble is told once"


def test_a_kubeconfig_is_read_again_and_each_trouble_told_once(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    whole = (
        '{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],'
        ' "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1"}}], "users": [{"name": "u"}]}'
    )
    waiting = Waiting(wait_2=lambda: path.write_text(whole[:40]), wait_3=lambda: path.write_text(whole))
    errors = ErrorsSeen()
    access = join(tmp_path, waiting, errors, KubernetesSettings(kubeconfig=path))
    assert access is not None
    assert access.server == "https://10.0.0.1"
    assert [each["message"].partition(": ")[0] for each in errors.as_json()] == [
        str(path),
        f"{path} is no kubeconfig in JSON",
    ]


def test_outside_a_cluster_nobody_waits() -> None:
    errors, waiting = ErrorsSeen(), Waiting()
    found = asyncio.run(join_cluster(KubernetesSettings(), {}, errors=errors, chance=lambda: 1.0, pause=waiting.pause))
    assert (found, waiting.seconds, errors.as_json()) == (None, [], [])


def test_annotations_need_a_cluster_that_is_named() -> None:
    wanted = KubernetesSettings(annotate_pod_ip=True)
    with pytest.raises(ConfigurationError, match="ANNOTATE_POD_IP"):
        check_annotations(wanted, {})
    check_annotations(wanted, IN_A_POD)
    check_annotations(KubernetesSettings(annotate_pod_ip=True, kubeconfig=Path("/nowhere")), {})
    check_annotations(KubernetesSettings(), {})
