"""Command lines of the control plane. Pure.

Source: `--help` of the programs, Kubernetes 1.20; the same flags exist in later releases.
"""

from pathlib import Path

from vpc_cni.lab.kubernetes.credentials import KUBELET_CLIENT
from vpc_cni.lab.kubernetes.paths import ClusterPaths
from vpc_cni.lab.kubernetes.shape import API_PORT, ETCD_PORT, ClusterShape

ETCD_URL = f"http://127.0.0.1:{ETCD_PORT}"
# Of the tokens of service accounts. Each lab has one cluster, so the name need not tell them apart.
ISSUER = "https://kubernetes.default.svc"


def etcd_command(program: Path, paths: ClusterPaths) -> list[str]:
    """A store that forgets: it lives in memory, as long as the lab."""
    return [
        str(program),
        f"--data-dir={paths.state}/etcd",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--logger=zap",
        "--log-level=warn",
    ]


def api_server_command(program: Path, paths: ClusterPaths, shape: ClusterShape) -> list[str]:
    return [
        str(program),
        f"--etcd-servers={ETCD_URL}",
        "--bind-address=0.0.0.0",
        f"--secure-port={API_PORT}",
        f"--advertise-address={shape.api_address}",
        f"--tls-cert-file={paths.certificate('api-server')}",
        f"--tls-private-key-file={paths.key('api-server')}",
        f"--client-ca-file={paths.certificate('ca')}",
        f"--kubelet-certificate-authority={paths.certificate('ca')}",
        f"--kubelet-client-certificate={paths.certificate(KUBELET_CLIENT)}",
        f"--kubelet-client-key={paths.key(KUBELET_CLIENT)}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={paths.certificate('service-accounts')}",
        f"--service-account-signing-key-file={paths.key('service-accounts')}",
        f"--service-account-issuer={ISSUER}",
        f"--service-cluster-ip-range={shape.services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--cert-dir={paths.state}/api-server",
    ]


def controller_manager_command(program: Path, paths: ClusterPaths) -> list[str]:
    return [
        str(program),
        *_plane_flags(paths, "controller-manager"),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={paths.key('service-accounts')}",
        f"--root-ca-file={paths.certificate('ca')}",
        f"--cluster-signing-cert-file={paths.certificate('ca')}",
        f"--cluster-signing-key-file={paths.key('ca')}",
        # A lab's node that was switched off shall show it while somebody is watching.
        "--node-monitor-grace-period=12s",
        "--node-monitor-period=2s",
    ]


def scheduler_command(program: Path, paths: ClusterPaths) -> list[str]:
    return [str(program), *_plane_flags(paths, "scheduler")]


def _plane_flags(paths: ClusterPaths, user: str) -> list[str]:
    config = paths.user_config(user)
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--cert-dir={paths.state}/{user}",
        # Many pods at once must not wait for the programs' own limits.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]
