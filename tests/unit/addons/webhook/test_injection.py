"""What pods of annotated service accounts get."""

from typing import Any

import pytest

from vpc_cni.addons.webhook import Identity, plan_injection, read_identity

ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
MOUNT = {"name": "aws-iam-token", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount", "readOnly": True}


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **annotations: str) -> dict[str, Any]:
    named = {f"eks.amazonaws.com/{name.replace('_', '-')}": value for name, value in annotations.items()}
    spec = {"containers": list(containers or ({"name": "a"},)), **({"initContainers": list(init)} if init else {})}
    return {"metadata": {"annotations": named} if named else {}, "spec": spec}


def apply_patch(value: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Apply the additions of a JSON patch in place."""
    for each in patch:
        assert each["op"] == "add"
        *above, last = each["path"].removeprefix("/").split("/")
        target: Any = value
        for step in above:
            target = target[int(step)] if isinstance(target, list) else target[step]
        if isinstance(target, list):
            assert last == "-"
            target.append(each["value"])
        else:
            target[last] = each["value"]
    return value


def injected(value: dict[str, Any], identity: Identity | None = None, region: str = "us-west-2") -> dict[str, Any]:
    identity = identity or Identity(ROLE)
    changed = apply_patch(value, plan_injection(value, identity, region))
    assert plan_injection(changed, identity, region) == ()
    return changed


def env(container: dict[str, Any]) -> dict[str, str]:
    names = [each["name"] for each in container["env"]]
    assert len(names) == len(set(names))
    return {each["name"]: each["value"] for each in container["env"]}


def test_every_container_gets_variables_and_the_token() -> None:
    spec = injected(pod({"name": "a"}, {"name": "b", "env": [{"name": "X", "value": "1"}]}, init=({"name": "i"},)))[
        "spec"
    ]
    for container in (*spec["initContainers"], *spec["containers"]):
        assert {name: value for name, value in env(container).items() if name != "X"} == {
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_DEFAULT_REGION": "us-west-2",
            "AWS_REGION": "us-west-2",
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
        }
        assert container["volumeMounts"] == [MOUNT]
    token = {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}
    assert spec["volumes"] == [{"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": token}]}}]


def test_what_a_container_sets_itself_stays() -> None:
    own = {
        "name": "a",
        "env": [{"name": "AWS_ROLE_ARN", "value": "mine"}, {"name": "AWS_REGION", "value": "eu-west-1"}],
    }
    found = env(injected(pod(own))["spec"]["containers"][0])
    assert found == {"AWS_ROLE_ARN": "mine", "AWS_REGION": "eu-west-1", "AWS_STS_REGIONAL_ENDPOINTS": "regional"}


def test_named_containers_are_left_alone() -> None:
    spec = injected(pod({"name": "a"}, {"name": "b"}, init=({"name": "i"},), skip_containers="a, i"))["spec"]
    assert [each["name"] for each in (*spec["initContainers"], *spec["containers"]) if "env" in each] == ["b"]
    assert plan_injection(pod({"name": "a"}, skip_containers="a"), Identity(ROLE), "") == ()


def test_without_a_region_none_is_set() -> None:
    assert set(env(injected(pod(), region="")["spec"]["containers"][0])) == {
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    }


@pytest.mark.parametrize(
    ("of_account", "of_pod", "seconds"),
    [(None, None, 86400), ("3600", None, 3600), ("3600", "7200", 7200), ("60", None, 600), ("soon", "99999999", 86400)],
)
def test_how_long_a_token_lasts(of_account: str | None, of_pod: str | None, seconds: int) -> None:
    annotations = {"eks.amazonaws.com/role-arn": ROLE}
    if of_account:
        annotations["eks.amazonaws.com/token-expiration"] = of_account
    identity = read_identity(annotations)
    assert identity is not None
    value = injected(pod(token_expiration=of_pod) if of_pod else pod(), identity)
    (source,) = value["spec"]["volumes"][0]["projected"]["sources"]
    assert source["serviceAccountToken"]["expirationSeconds"] == seconds


def test_an_account_without_a_role_is_nobody_in_particular() -> None:
    assert read_identity({}) is None
    assert read_identity({"eks.amazonaws.com/role-arn": ""}) is None


def test_annotations_of_the_account() -> None:
    prefix = "eks.amazonaws.com/"
    identity = read_identity(
        {prefix + "role-arn": ROLE, prefix + "audience": "mine", prefix + "sts-regional-endpoints": "false"}
    )
    assert identity == Identity(ROLE, "mine", 86400, regional_endpoints=False)
