"""``serviceAccountRoleArn`` decides whose credentials the agent uses; a role that does not trust it is told as such."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from addon_service import CLUSTER, Customer, restore, serving
from cluster_objects import agent_pods, kubectl, wait_until
from cluster_operator import name_images
from cluster_traffic import assert_nothing_lost, traffic

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes import pod_roles
from vpc_cni.lab.world import NODE_ROLE

VERSION = "v1.16.2-eksbuild.1"
ROLE = "pod-networking"
NAMES = f"--cluster-name {CLUSTER} --addon-name vpc-cni --addon-version {VERSION}"
ACCOUNT_NAME = "system:serviceaccount:kube-system:"
REASON = "MissingIAMPermissions"
ADVICE = "allow sts:AssumeRoleWithWebIdentity in the trust policy of that role"
PodObject = dict[str, Any]


@pytest.fixture
def customer(addon_lab: Lab, image_archive: str, tmp_path: Path) -> Iterator[Customer]:
    """Return somebody whose cluster gives pods the roles of their service accounts."""
    addon_lab.kubernetes.load(name_images(image_archive, tmp_path, VERSION))
    addon_lab.kubernetes.give_pod_roles()
    account = addon_lab.add_role(ROLE, "*").split(":")[4]
    with serving(addon_lab, tmp_path, account) as made:
        made.hurry()
        made.wait()
        yield made
        made.shell(f"kubectl delete mutatingwebhookconfiguration {pod_roles.CONFIGURATION}")
        addon_lab.kubernetes.stop(pod_roles.NAME)
        made.delete("--preserve")
        restore(addon_lab, image_archive)


def values(customer: Customer) -> str:
    """Return the options that every change says again: where the lab's EC2 is."""
    where = {name: customer.place[name] for name in ("AWS_EC2_ENDPOINT", "IP_COOLDOWN_PERIOD")}
    return f"--resolve-conflicts OVERWRITE --configuration-values '{json.dumps({'env': where})}'"


def callers_since(lab: Lab, count: int) -> set[str]:
    """Return who has been answered by EC2 after so many calls."""
    return {call.role_name for call in lab.calls[count:] if call.service == "ec2" and not call.code}


def restart_all(customer: Customer) -> set[str]:
    """Replace the agents of all nodes; return who has called EC2 meanwhile."""
    count = len(customer.lab.calls)
    customer.must("kubectl rollout restart daemonset/aws-node -n kube-system")
    customer.wait()
    return callers_since(customer.lab, count)


def events(lab: Lab, pod: str) -> list[dict[str, Any]]:
    text = kubectl(lab, "get", "events", "-n=kube-system", f"--field-selector=reason={REASON}", "-o=json")
    return [each for each in json.loads(text)["items"] if each["involvedObject"]["name"] == pod]


def test_the_addons_role_is_the_agents(customer: Customer, pair: tuple[PodObject, PodObject]) -> None:
    lab = customer.lab
    trusting, strange = f"{ACCOUNT_NAME}aws-node", f"{ACCOUNT_NAME}somebody-else"
    role_arn = lab.add_role(ROLE, trusting)
    with traffic(lab, *pair) as (pings, stream):
        customer.must(f"aws eks create-addon {NAMES} {values(customer)} --service-account-role-arn {role_arn}")
        assert customer.settled()["status"] == "ACTIVE"
        assert ROLE in restart_all(customer)

        lab.add_role(ROLE, strange)
        old = agent_pods(lab)["node-1"]["metadata"]["name"]
        customer.must(f"kubectl delete pod {old} -n kube-system")
        wait_until(lambda: agent_pods(lab).get("node-1", {}).get("metadata", {}).get("name", old) != old, "a new pod")
        pod = agent_pods(lab)["node-1"]["metadata"]["name"]
        wait_until(lambda: events(lab, pod), "the event about the role")
        event = events(lab, pod)[0]
        assert event["action"] == "sts:AssumeRoleWithWebIdentity"
        assert "AccessDenied" in event["message"]
        show_log = f"kubectl logs {pod} -n kube-system -c aws-node"
        wait_until(lambda: ADVICE in customer.shell(show_log).out, "the advice in the log")

        lab.add_role(ROLE, trusting)
        customer.wait()
        assert customer.update(f"{NAMES} {values(customer)}")["status"] == "Successful"
        assert NODE_ROLE in restart_all(customer), "every agent had the add-on's role before"
    assert_nothing_lost(pings, stream)
