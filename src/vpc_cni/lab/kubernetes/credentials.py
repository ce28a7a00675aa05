"""Who may use the API, and the files by which they do: keys and kubeconfigs. The documents are pure."""

import base64
import datetime
import json
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.lab.kubernetes.paths import ClusterPaths
from vpc_cni.lab.kubernetes.pki import Authority, KeyPair, Subject, signing_key
from vpc_cni.lab.kubernetes.shape import ADMIN, ClusterShape

MASTERS = "system:masters"
KUBELET_CLIENT = "api-server-kubelet-client"
# Files of the control plane by the user that they make of a program.
PLANE_USERS = {
    "controller-manager": Subject("system:kube-controller-manager"),
    "scheduler": Subject("system:kube-scheduler"),
    KUBELET_CLIENT: Subject(KUBELET_CLIENT, MASTERS),
}


class Credentials:
    """Issues the credentials of one cluster and writes those of the control plane.

    Args:
        now: wall-clock time, of which certificates are valid.
    """

    def __init__(self, shape: ClusterShape, paths: ClusterPaths, now: datetime.datetime) -> None:
        self._shape = shape
        self._paths = paths
        self._authority = Authority(now)
        self.admin = self._authority.issue(Subject(ADMIN, MASTERS))

    @property
    def authority(self) -> bytes:
        """The certificate that everyone trusts, as PEM."""
        return self._authority.pair.certificate

    def write(self) -> None:
        """Write what the control plane and the cluster's user need."""
        self._paths.pki.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_pair("ca", self._authority.pair)
        self._write_pair("service-accounts", signing_key())
        self._write_pair("api-server", self._authority.issue(self._api_subject()))
        for name, subject in PLANE_USERS.items():
            pair = self._authority.issue(subject)
            self._write_pair(name, pair)
            write_secret(self._paths.user_config(name), self.kubeconfig(pair, subject.name, self._shape.api_url))
        write_secret(self._paths.kubeconfig, self.kubeconfig(self.admin, ADMIN, self._shape.forwarded_url))

    def kubelet(self, node: str, address: IPv4Address) -> KeyPair:
        """Return what a kubelet serves and calls with."""
        subject = Subject(f"system:node:{node}", "system:nodes", dns_names=(node,), addresses=(address,))
        return self._authority.issue(subject)

    def user(self, name: str) -> KeyPair:
        """Return what a user without groups calls with."""
        return self._authority.issue(Subject(name))

    def proxy(self) -> KeyPair:
        return self._authority.issue(Subject("system:kube-proxy"))

    def node_config(self, pair: KeyPair, user: str) -> bytes:
        """Return a kubeconfig for a program of a node."""
        return self.kubeconfig(pair, user, self._shape.api_url)

    def kubeconfig(self, pair: KeyPair, user: str, server: str) -> bytes:
        """Return a kubeconfig that needs no other file; JSON, which is YAML too."""
        name = self._shape.lab
        cluster = {"server": server, "certificate-authority-data": _base64(self.authority)}
        credentials = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        }
        return json.dumps(document, indent=1).encode()

    def _api_subject(self) -> Subject:
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
        addresses = (self._shape.api_address, self._shape.api_service, IPv4Address("127.0.0.1"))
        return Subject("kube-apiserver", dns_names=names, addresses=addresses)

    def _write_pair(self, name: str, pair: KeyPair) -> None:
        self._paths.certificate(name).write_bytes(pair.certificate)
        write_secret(self._paths.key(name), pair.key)


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_bytes(data)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
