"""status, backup, diff, apply, verify and restore against a real API server."""

import json
import stat
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cluster.client import Cluster, Place
from vpc_cni.errors import FieldConflictError, KubernetesConflictError
from vpc_cni.manifests import packaged_catalogue, parse_addon_version
from vpc_cni.self_managed import Backup, Wish, plan_restore, plan_update
from vpc_cni.self_managed.flow import apply_restore, apply_update, conflicts_of, read_installation, try_update

OLD = "v1.12.6-eksbuild.2"
NEW = "v1.16.2"
APPLY_NEW = ("apply", "--version", NEW, "--force-conflicts", "--timeout=5")


def installed(operator: Any) -> Any:
    operator.kubectl_apply(OLD)
    operator.play_controller()
    return operator


def version_by_pipe(operator: Any) -> str:
    """Run the pipe that operators know."""
    described = operator.server.kubectl("describe", "daemonset", "aws-node", "--namespace", "kube-system").stdout
    command = "grep amazon-k8s-cni: | cut -d : -f 3"
    return subprocess.run(
        ["/bin/sh", "-c", command], input=described, capture_output=True, text=True, check=True
    ).stdout


def test_an_empty_cluster_has_no_addon(operator: Any) -> None:
    assert operator.run("status", "--json").document["type"] == "absent"
    assert operator.run("backup").status == 4


def test_status_tells_type_version_and_origin(operator: Any) -> None:
    document = installed(operator).run("status", "--json").document
    assert (document["type"], document["version"], document["origin"]) == ("self-managed", OLD, "kubectl apply")
    assert document["rollout"]["done"]
    assert document["kubernetes_version"].startswith("v1.")


def test_a_token_without_rights_gives_unknown_and_changes_nothing(operator: Any) -> None:
    installed(operator).use_token("a-token-of-the-agent")
    done = operator.run("status", "--json")
    assert (done.status, done.document["type"]) == (7, "unknown")
    assert operator.run(*APPLY_NEW).status == 7
    assert operator.run("backup").status == 1
    assert version_by_pipe(operator) == f"{OLD}\n"


def test_the_documented_commands_of_an_update_print_what_they_are_said_to(operator: Any) -> None:
    installed(operator)
    assert version_by_pipe(operator) == f"{OLD}\n"
    saved = operator.server.kubectl("get", "daemonset", "aws-node", "-n", "kube-system", "-o", "yaml").stdout
    assert f"amazon-k8s-cni:{OLD}" in saved
    lines = operator.kubectl_apply(NEW).splitlines()
    assert "daemonset.apps/aws-node configured" in lines
    assert "configmap/amazon-vpc-cni created" in lines
    assert version_by_pipe(operator) == f"{NEW}\n"


def test_a_backup_holds_everything_is_private_and_never_replaces_another(operator: Any, tmp_path: Path) -> None:
    installed(operator)
    files = [operator.run("backup", "--folder", str(tmp_path / "saved"), "--json").document["file"] for _ in range(3)]
    assert len(set(files)) == 3
    for file in files:
        assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
        objects = json.loads(Path(file).read_text())["objects"]
        kinds = [each["kind"] for each in objects]
        assert {"DaemonSet", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"} == {
            *kinds
        }
        assert all(each["metadata"]["managedFields"] for each in objects)
    assert sorted(each.name for each in (tmp_path / "saved").iterdir()) == sorted(Path(each).name for each in files)


def test_custom_settings_survive_an_update_and_verify_says_so(operator: Any) -> None:
    installed(operator)
    operator.server.kubectl(
        "-n", "kube-system", "set", "env", "daemonset/aws-node", "-c", "aws-node", "WARM_IP_TARGET=5", "MY_OWN=x=y",
        "AWS_VPC_K8S_CNI_EXTERNALSNAT=true",
    )  # fmt: skip
    operator.play_controller()
    difference = operator.run("diff", "--version", NEW, "--json").document
    assert difference["settings_taken_over"]["env"] == {
        "WARM_IP_TARGET": "5",
        "MY_OWN": "x=y",
        "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true",
    }
    changed = [change["path"] for each in difference["objects"] for change in each["changes"]]
    assert '.spec.template.spec.containers[name="aws-node"].image' in changed
    assert not [path for path in changed if "WARM_IP_TARGET" in path or "EXTERNALSNAT" in path]

    done = operator.run(*APPLY_NEW, "--json")
    assert done.status == 0, done.err
    assert "roll-out: 2 of 2 pods updated" in done.err
    env = operator.env()
    assert (env["WARM_IP_TARGET"], env["MY_OWN"], env["AWS_VPC_K8S_CNI_EXTERNALSNAT"]) == ("5", "x=y", "true")
    (backup,) = operator.folder.glob("vpc-cni-backup-*.json")
    verified = operator.run("verify", "--version", NEW, "--backup", str(backup))
    assert verified.status == 0, verified.out
    assert operator.run("diff", "--version", NEW, "--exit-code").status == 0

    operator.server.kubectl(
        "-n", "kube-system", "set", "env", "daemonset/aws-node", "-c", "aws-node", "WARM_IP_TARGET-"
    )
    failed = operator.run("verify", "--version", NEW, "--backup", str(backup))
    assert failed.status == 8
    assert "WARM_IP_TARGET is missing, planned '5'" in failed.out


def test_fields_of_other_managers_are_shown_and_left_alone(operator: Any) -> None:
    installed(operator)
    before = operator.daemon_set()["metadata"]["resourceVersion"]
    done = operator.run("apply", "--version", NEW)
    assert done.status == 3
    assert "DaemonSet.apps kube-system/aws-node, owned by kubectl-client-side-apply:" in done.err
    assert '~ .spec.template.spec.containers[name="aws-node"].image\n' in done.err
    assert list(operator.folder.glob("vpc-cni-backup-*")) == []
    document = operator.run("apply", "--version", NEW, "--json").document
    assert document["applied"] == []
    assert {each["manager"] for each in document["conflicts"]} == {"kubectl-client-side-apply"}
    assert operator.daemon_set()["metadata"]["resourceVersion"] == before


def test_a_dry_run_changes_nothing(operator: Any, tmp_path: Path) -> None:
    installed(operator)
    before = operator.daemon_set()["metadata"]["resourceVersion"]
    done = operator.run(*APPLY_NEW, "--dry-run", "--json")
    assert (done.status, done.document["applied"]) == (0, [])
    assert {each["manager"] for each in done.document["conflicts"]} == {"kubectl-client-side-apply"}
    assert operator.daemon_set()["metadata"]["resourceVersion"] == before
    assert list(tmp_path.glob("vpc-cni-backup-*")) == []


def test_an_update_to_our_images_removes_what_only_the_reference_has(operator: Any) -> None:
    operator.kubectl_apply(NEW)
    operator.play_controller()
    own = ("--image-set=own", "--registry=mirror.example.com:5000/team")
    done = operator.run(*APPLY_NEW, *own)
    assert done.status == 0, done.err
    spec = operator.daemon_set()["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["containers"]] == ["aws-node"]
    assert "xtables-lock" not in [each["name"] for each in spec["volumes"]]
    assert operator.run("verify", *own, "--version", NEW).status == 0


@pytest.mark.parametrize("way", ["apply", "restore"])
def test_the_way_to_our_images_can_be_gone_back(operator: Any, tmp_path: Path, way: str) -> None:
    """The commands of docs/takeover.md, in its order."""
    operator.kubectl_apply(NEW)
    operator.play_controller()
    before = operator.daemon_set()["spec"]["template"]["spec"]
    folder = str(tmp_path / "backups")
    there = ("apply", "--version", NEW, "--image-set", "own", "--registry", "mirror.example.com:5000/team")
    options = ("--backup-folder", folder, "--force-conflicts", "--timeout=5")
    assert operator.run("backup", "--folder", folder).status == 0
    [backup] = map(str, (tmp_path / "backups").iterdir())
    assert operator.run(*there, *options).status == 0
    registry = before["containers"][0]["image"].partition("/")[0]
    back = {
        "apply": ("apply", "--version", NEW, "--image-set", "aws", "--registry", registry, *options),
        "restore": ("restore", backup, "--yes", "--backup-folder", folder, "--timeout=5"),
    }[way]
    done = operator.run(*back)
    assert done.status == 0, done.err
    after = operator.daemon_set()["spec"]["template"]["spec"]
    assert [each["image"] for each in after["containers"]] == [each["image"] for each in before["containers"]]
    for name in ("containers", "initContainers"):
        for one, other in zip(before[name], after[name], strict=True):
            assert one["securityContext"] == other["securityContext"]
            mounts = [sorted(each["volumeMounts"], key=str) for each in (one, other)]
            assert mounts[0] == mounts[1]


def test_a_version_that_cannot_run_here_is_refused(operator: Any) -> None:
    done = installed(operator).run("apply", "--version", "v1.16.0")
    assert done.status == 4
    assert "v1.16.0 needs Kubernetes 1.24 or later" in done.err


def test_a_rollout_that_does_not_end_is_a_timeout_and_pods_that_cannot_start_a_failure(operator: Any) -> None:
    operator.kubectl_apply(OLD)
    assert operator.run(*APPLY_NEW[:-1], "--timeout=0").status == 6
    operator.add_pod_that_cannot_start("ImagePullBackOff")
    done = operator.run(*APPLY_NEW[:-1], "--timeout=0")
    assert done.status == 5
    assert "pod aws-node-x, container aws-node: ImagePullBackOff" in done.err


def test_a_probe_pod_that_gets_no_address_fails_and_is_deleted(operator: Any) -> None:
    operator.kubectl_apply(NEW)
    operator.play_controller()
    # The account that a controller makes in every namespace.
    operator.server.kubectl("-n", "kube-system", "create", "serviceaccount", "default")
    done = operator.run("verify", "--probe-image=a.example.com/b", "--timeout=0")
    assert done.status == 8
    assert "probe pod: no address: Pending on no node" in done.out
    pods = operator.server.kubectl(
        "-n", "kube-system", "get", "pods", "--selector=app.kubernetes.io/name=vpc-cni-probe"
    )
    assert pods.stdout == ""


def test_a_first_installation_and_an_update_of_it_need_no_force(operator: Any) -> None:
    own = ("--image-set=own", "--registry=mirror.example.com")
    assert operator.run("apply", "--version", "v1.12.6", *own, "--env", "WARM_IP_TARGET=5", "--timeout=0").status == 6
    operator.play_controller()
    done = operator.run("apply", "--version", NEW, "--timeout=5")
    assert done.status == 0, done.err
    assert operator.env()["WARM_IP_TARGET"] == "5"
    assert operator.container()["image"] == f"mirror.example.com/amazon-k8s-cni:{NEW}"


def test_an_eniconfig_definition_without_objects_is_no_obstacle(operator: Any) -> None:
    installed(operator)
    definition = "customresourcedefinition/eniconfigs.crd.k8s.amazonaws.com"
    operator.server.kubectl("wait", "--for=condition=Established", definition, "--timeout=20s")
    assert operator.run("backup", "--json").status == 0


def test_restore_brings_everything_back(operator: Any, tmp_path: Path) -> None:
    installed(operator)
    operator.server.kubectl("-n", "kube-system", "set", "env", "daemonset/aws-node", "-c", "aws-node", "MINE=1")
    backup = operator.run("backup", "--folder", str(tmp_path / "first"), "--json").document["file"]
    before = operator.daemon_set()["spec"]
    operator.play_controller()
    assert operator.run(*APPLY_NEW).status == 0
    operator.server.kubectl("-n", "kube-system", "set", "env", "daemonset/aws-node", "-c", "aws-node", "LATER=1")

    assert operator.run("restore", backup, "--dry-run").status == 0
    assert operator.run("restore", backup).status == 4, "nobody confirmed"
    assert version_by_pipe(operator) == f"{NEW}\n"
    operator.play_controller()
    done = operator.run("restore", backup, "--yes", "--timeout=5")
    assert done.status == 0, done.err
    assert operator.daemon_set()["spec"] == before
    assert operator.run("restore", backup, "--yes").out == "no difference\n"


def test_a_restore_goes_on_when_the_status_changes_meanwhile_and_not_when_somebody_edits(operator: Any) -> None:
    installed(operator)
    with closing(Cluster(Place(operator.kubeconfig))) as cluster:
        saved = Backup(datetime.now(UTC), "1.20", "self-managed", read_installation(cluster), {})
        set_env = ("-n", "kube-system", "set", "env", "daemonset/aws-node", "-c", "aws-node")
        operator.server.kubectl(*set_env, "WARM_IP_TARGET=9")
        plan = plan_restore(saved, read_installation(cluster))
        operator.server.kubectl(*set_env, "WARM_IP_TARGET=8")
        with pytest.raises(KubernetesConflictError):
            apply_restore(cluster, plan)
        assert operator.env()["WARM_IP_TARGET"] == "8"
        plan = plan_restore(saved, read_installation(cluster))
        operator.play_controller()
        apply_restore(cluster, plan)
    assert "WARM_IP_TARGET" not in operator.env()


def test_restore_makes_objects_that_are_gone(operator: Any, tmp_path: Path) -> None:
    installed(operator)
    backup = operator.run("backup", "--json").document["file"]
    operator.server.kubectl("-n", "kube-system", "delete", "clusterrole/aws-node", "serviceaccount/aws-node")
    assert operator.run("restore", backup, "--yes", "--timeout=5").status == 0
    assert operator.server.get("clusterrole", "aws-node")["rules"]


def test_variables_named_twice_are_named_and_mended_on_request(operator: Any) -> None:
    installed(operator)
    live = operator.daemon_set()
    (agent,) = [each for each in live["spec"]["template"]["spec"]["containers"] if each["name"] == "aws-node"]
    agent["env"] += [{"name": "WARM_IP_TARGET", "value": "3"}, {"name": "WARM_IP_TARGET", "value": "4"}]
    operator.replace(live)
    refused = operator.run(*APPLY_NEW)
    assert refused.status == 4
    assert "container aws-node names WARM_IP_TARGET 2 times" in refused.err
    operator.play_controller()
    done = operator.run(*APPLY_NEW, "--repair")
    assert done.status == 0, done.err
    assert [each for each in operator.container()["env"] if each["name"] == "WARM_IP_TARGET"] == [
        {"name": "WARM_IP_TARGET", "value": "4"}
    ]


def test_a_value_in_the_place_of_a_reference_is_named_and_mended_on_request(operator: Any) -> None:
    installed(operator)
    live = operator.daemon_set()
    (agent,) = [each for each in live["spec"]["template"]["spec"]["containers"] if each["name"] == "aws-node"]
    (node_name,) = [each for each in agent["env"] if each["name"] == "MY_NODE_NAME"]
    node_name.pop("valueFrom")
    node_name["value"] = "node-1"
    operator.replace(live)
    refused = operator.run(*APPLY_NEW)
    assert refused.status == 4, refused.err
    assert "MY_NODE_NAME has a value, and a valueFrom cannot be applied over it" in refused.err
    operator.play_controller()
    assert operator.run(*APPLY_NEW, "--repair").status == 0
    (mended,) = [each for each in operator.container()["env"] if each["name"] == "MY_NODE_NAME"]
    assert mended["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"


def test_a_repair_goes_on_when_the_status_changes_meanwhile(operator: Any) -> None:
    installed(operator).run(*APPLY_NEW)
    live = operator.daemon_set()
    (agent,) = [each for each in live["spec"]["template"]["spec"]["containers"] if each["name"] == "aws-node"]
    (node_name,) = [each for each in agent["env"] if each["name"] == "MY_NODE_NAME"]
    reference = node_name.pop("valueFrom")
    node_name["value"] = "node-1"
    operator.replace(live)
    catalogue = packaged_catalogue()
    wish = Wish(catalogue.find(parse_addon_version(NEW)), env={})
    with closing(Cluster(Place(operator.kubeconfig))) as cluster:
        plan = plan_update(read_installation(cluster), wish, catalogue)
        trials = try_update(cluster, plan)
        assert plan.repairs
        assert conflicts_of((each.plan for each in trials), plan) == ()
        operator.play_controller()
        apply_update(cluster, plan, trials, time, force=False)
    (mended,) = [each for each in operator.container()["env"] if each["name"] == "MY_NODE_NAME"]
    assert mended["valueFrom"]["fieldRef"]["fieldPath"] == reference["fieldRef"]["fieldPath"]


def test_others_who_edit_meanwhile_are_a_conflict(operator: Any) -> None:
    installed(operator).run(*APPLY_NEW)
    catalogue = packaged_catalogue()
    wish = Wish(catalogue.find(parse_addon_version(NEW)), env={"WARM_IP_TARGET": "5"})
    with closing(Cluster(Place(operator.kubeconfig))) as cluster:
        plan = plan_update(read_installation(cluster), wish, catalogue)
        trials = try_update(cluster, plan)
        operator.server.kubectl(
            "-n", "kube-system", "set", "env", "daemonset/aws-node", "-c", "aws-node", "WARM_IP_TARGET=9"
        )
        with pytest.raises(FieldConflictError, match="WARM_IP_TARGET"):
            apply_update(cluster, plan, trials, time, force=False)
        assert operator.env()["WARM_IP_TARGET"] == "9"
        apply_update(cluster, plan, trials, time, force=True)
    assert operator.env()["WARM_IP_TARGET"] == "5"


def test_amounts_that_are_the_same_are_no_conflict(operator: Any, tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}}))
    operator.kubectl_apply(NEW, "--values", str(values))
    done = operator.run("apply", "--version", NEW, "--values", str(values), "--dry-run", "--json")
    assert done.status == 0, done.err
    assert done.document["conflicts"] == []


@pytest.mark.parametrize("words", [("status",), ("apply", "--version", NEW)])
def test_an_eks_that_does_not_answer_gives_unknown(
    operator: Any, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    nobody = ("--cluster-name=c", "--region=us-west-2", "--endpoint-url=http://127.0.0.1:9")
    assert installed(operator).run(*words, *nobody).status == 7
