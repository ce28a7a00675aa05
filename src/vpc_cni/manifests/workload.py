"""The DaemonSet ``aws-node`` as plain data. Pure.

Names, labels, ports, probes and variables are the reference's for both image sets; mounts and privileges are what
the containers of the set need (``privileges``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpc_cni.manifests.configuration import Configuration
from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.images import Images, ImageSet
from vpc_cni.manifests.metadata import NAME, POD_LABELS, SELECTOR, metadata
from vpc_cni.manifests.privileges import (
    agent_security_context,
    init_security_context,
    policy_agent_security_context,
)
from vpc_cni.manifests.profile import Profile, Trait

METRICS_PORT = 61678
PROBE_TIMEOUT_SECONDS = 10
DEFAULT_RESOURCES: Manifest = {"requests": {"cpu": "25m"}}
DEFAULT_TOLERATIONS: tuple[Manifest, ...] = ({"operator": "Exists"},)
_PROBE_COMMAND = ("/app/grpc-health-probe", "-addr=:50051", "-connect-timeout=5s", "-rpc-timeout=5s")
# Ours tells an agent that waits, for which a restart is no help, from one that hangs.
_LIVENESS_COMMAND = {ImageSet.OWN: (*_PROBE_COMMAND, "-service=liveness"), ImageSet.AWS: _PROBE_COMMAND}


# Flags of the third container as manifests of the reference order them; which there are is for the version to say.
_FLAGS = (
    "enable-ipv6",
    "enable-network-policy",
    "enable-cloudwatch-logs",
    "enable-policy-event-logs",
    "log-file",
    "metrics-bind-addr",
    "health-probe-bind-addr",
    "conntrack-cache-cleanup-period",
    "conntrack-cache-table-size",
    "log-level",
)


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables of the containers after all layers. ``downward`` maps a variable to a field of the pod."""

    agent: Mapping[str, str]
    downward: Mapping[str, str]
    init: Mapping[str, str]
    policy_agent_args: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Volume:
    """A folder or file of the host. ``kind`` is the hostPath type, empty for none."""

    name: str
    path: str
    kind: str = ""

    def manifest(self) -> Manifest:
        return {"name": self.name, "hostPath": {"path": self.path, **({"type": self.kind} if self.kind else {})}}

    def at(self, mount_path: str) -> Manifest:
        return {"mountPath": mount_path, "name": self.name}


_BPF = _Volume("bpf-pin-path", "/sys/fs/bpf")
_PLUGINS = _Volume("cni-bin-dir", "/opt/cni/bin")
_CONFLIST = _Volume("cni-net-dir", "/etc/cni/net.d")
_LOGS = _Volume("log-dir", "/var/log/aws-routed-eni", "DirectoryOrCreate")
_RUN = _Volume("run-dir", "/var/run/aws-node", "DirectoryOrCreate")
_XTABLES = _Volume("xtables-lock", "/run/xtables.lock")


def daemon_set(profile: Profile, images: Images, environment: Environment, configuration: Configuration) -> Manifest:
    """Return the DaemonSet."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(profile, namespaced=True),
        "spec": {
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "selector": {"matchLabels": dict(SELECTOR)},
            "template": {
                "metadata": {"labels": dict(POD_LABELS)},
                "spec": _pod_spec(profile, images, environment, configuration),
            },
        },
    }


def _pod_spec(profile: Profile, images: Images, environment: Environment, configuration: Configuration) -> Manifest:
    containers = [_agent(images, environment, configuration)]
    if images.policy_agent is not None:
        containers.append(_policy_agent(profile, str(images.policy_agent), environment))
    tolerations = DEFAULT_TOLERATIONS if configuration.tolerations is None else configuration.tolerations
    affinity = default_affinity(profile) if configuration.affinity is None else dict(configuration.affinity)
    return {
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 10,
        "tolerations": [dict(toleration) for toleration in tolerations],
        "affinity": affinity,
        "initContainers": [_init(images, environment)],
        "containers": containers,
        "volumes": [volume.manifest() for volume in _volumes(profile, images)],
    }


def _init(images: Images, environment: Environment) -> Manifest:
    return {
        "name": "aws-vpc-cni-init",
        "image": str(images.init),
        "env": _literal(environment.init),
        "resources": {"requests": {"cpu": "25m"}},
        "securityContext": init_security_context(images.image_set, environment.init),
        "volumeMounts": [_PLUGINS.at("/host/opt/cni/bin")],
    }


def _agent(images: Images, environment: Environment, configuration: Configuration) -> Manifest:
    return {
        "name": NAME,
        "image": str(images.agent),
        "ports": [{"containerPort": METRICS_PORT, "name": "metrics"}],
        "livenessProbe": _probe(_LIVENESS_COMMAND[images.image_set], 60, configuration.liveness_timeout_seconds),
        "readinessProbe": _probe(_PROBE_COMMAND, 1, configuration.readiness_timeout_seconds),
        "env": [*_literal(environment.agent), *_downward(environment.downward)],
        "resources": dict(DEFAULT_RESOURCES if configuration.resources is None else configuration.resources),
        "securityContext": agent_security_context(images.image_set),
        "volumeMounts": _agent_mounts(images.image_set),
    }


def _agent_mounts(image_set: ImageSet) -> list[Manifest]:
    shared = [
        _CONFLIST.at("/host/etc/cni/net.d"),
        _LOGS.at("/host/var/log/aws-routed-eni"),
        _RUN.at("/var/run/aws-node"),
    ]
    if image_set is ImageSet.OWN:
        # Plugins are installed by the init container alone; the agent looks whether they are its own. nftables needs no
        # lock.
        return [_PLUGINS.at("/host/opt/cni/bin") | {"readOnly": True}, *shared]
    return [_PLUGINS.at("/host/opt/cni/bin"), *shared, _XTABLES.at("/run/xtables.lock")]


def _policy_agent(profile: Profile, image: str, environment: Environment) -> Manifest:
    args = environment.policy_agent_args
    port = int(args["metrics-bind-addr"].rpartition(":")[2])
    declared = Trait.POLICY_AGENT_PORT in profile.traits
    return {
        "name": "aws-eks-nodeagent",
        "image": image,
        **({"ports": [{"containerPort": port, "name": "agentmetrics"}]} if declared else {}),
        # Its own node whatever a user says to the agent.
        "env": _downward({"MY_NODE_NAME": "spec.nodeName"}),
        "args": [f"--{flag}={args[flag]}" for flag in sorted(args, key=_flag_place)],
        "resources": {"requests": {"cpu": "25m"}},
        "securityContext": policy_agent_security_context(),
        "volumeMounts": [
            _PLUGINS.at("/host/opt/cni/bin"),
            _BPF.at("/sys/fs/bpf"),
            _LOGS.at("/var/log/aws-routed-eni"),
            _RUN.at("/var/run/aws-node"),
        ],
    }


def _flag_place(flag: str) -> tuple[int, str]:
    """Return where a flag of the third container stands; those that nobody knows come last."""
    return (_FLAGS.index(flag) if flag in _FLAGS else len(_FLAGS), flag)


def _volumes(profile: Profile, images: Images) -> list[_Volume]:
    if images.image_set is ImageSet.OWN:
        return [_PLUGINS, _CONFLIST, _LOGS, _RUN]
    lock = replace(_XTABLES, kind="FileOrCreate") if Trait.LOCK_FILE_MADE in profile.traits else _XTABLES
    return [*([] if images.policy_agent is None else [_BPF]), _PLUGINS, _CONFLIST, _LOGS, _RUN, lock]


def _probe(command: Sequence[str], initial_delay_seconds: int, timeout_seconds: int | None) -> Manifest:
    return {
        "exec": {"command": list(command)},
        "initialDelaySeconds": initial_delay_seconds,
        "timeoutSeconds": PROBE_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds,
    }


def _literal(env: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in sorted(env.items())]


def _downward(env: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in env.items()]


def default_affinity(profile: Profile) -> Manifest:
    """Return where the DaemonSet runs: Linux on EC2. Nodes that EKS sees to itself carry a copy of their own."""
    excluded = list(profile.excluded_compute_types)
    expressions = [
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
        {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": excluded},
    ]
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
