"""One context of a kubeconfig, with nothing of it ignored.

What lightkube does not know of a cluster or a user it leaves out: a proxy, or as whom to act. Requests would go
elsewhere, or as somebody else, than the file says. So every member of what is used is known here: it is honoured, or
cannot matter, or is refused by name. Contexts that are not used may hold what they like.

Source: kubernetes/client-go tools/clientcmd/api/v1, and its order where two members say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightkube import KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import parse_yaml

# Those that cannot matter: compression, the default namespace, what extensions of other programs keep.
_KNOWN: Mapping[str, frozenset[str]] = {
    "cluster": frozenset(
        {
            "server",
            "certificate-authority",
            "certificate-authority-data",
            "insecure-skip-tls-verify",
            "tls-server-name",
            "disable-compression",
            "extensions",
        }
    ),
    "user": frozenset(
        {
            "client-certificate",
            "client-certificate-data",
            "client-key",
            "client-key-data",
            "token",
            "tokenFile",
            "username",
            "password",
            "exec",
            "extensions",
        }
    ),
    "context": frozenset({"cluster", "user", "namespace", "extensions"}),
    "exec": frozenset({"apiVersion", "command", "args", "env", "installHint", "interactiveMode"}),
}
_IMPERSONATION = "log in as the user itself: nobody is impersonated on behalf of a kubeconfig"
_INSTEAD: Mapping[str, str] = {
    "proxy-url": "take it out and set HTTPS_PROXY for this command; the add-on service itself uses no proxy",
    "as": _IMPERSONATION,
    "as-uid": _IMPERSONATION,
    "as-groups": _IMPERSONATION,
    "as-user-extra": _IMPERSONATION,
    "auth-provider": "use exec, a token or a client certificate",
    "provideClusterInfo": "use a program that needs no KUBERNETES_EXEC_INFO, or a token",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a client is made of.

    Attributes:
        server_name: by which the server proves itself, when that is not the host of its URL; else empty.
    """

    config: SingleConfig
    server_name: str = ""


def read_context(file: Path, context: str = "") -> Chosen:
    """Return a context of a kubeconfig, by default the current one.

    Raises:
        ConfigurationError: it holds a member that is not supported, or contradicts itself.
        OSError: the file cannot be read.
        ConfigError, CallerError, KeyError, TypeError, ValueError: it is no kubeconfig, or has no such context.
    """
    documents = parse_yaml(file.read_text(encoding="utf-8"), str(file))
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigError("it is no map of clusters, contexts and users")
    document = documents[0]
    config = KubeConfig.from_dict(document, file).get(context or None)
    assert config is not None  # noqa: S101 # no default was given
    _refuse_unsupported(file, "context", _only(document, "context", config.context_name))
    cluster = _only(document, "cluster", config.context.cluster)
    _refuse_unsupported(file, "cluster", cluster)
    if config.context.user:
        user = _only(document, "user", config.context.user)
        _refuse_unsupported(file, "user", user)
        _refuse_unsupported(file, "exec", user.get("exec") or {})
    return Chosen(_normalized(file, config), str(cluster.get("tls-server-name") or ""))


def _only(document: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    found = [each[kind] for each in document[f"{kind}s"] if each["name"] == name]
    if len(found) != 1:
        raise ConfigError(f"it has {len(found)} {kind}s named {name!r}")
    return dict(found[0])


def _refuse_unsupported(file: Path, kind: str, body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        # Void is as good as absent: programs write such members.
        if value and name not in _KNOWN[kind]:
            raise ConfigurationError(
                f"kubeconfig {file}: {name} of the {kind} is not supported",
                hint=_INSTEAD.get(name, "take it out, or choose another by --kubeconfig, --context"),
            )


def _normalized(file: Path, config: SingleConfig) -> SingleConfig:
    cluster, user = config.cluster, config.user
    if cluster.insecure and (cluster.certificate_auth or cluster.certificate_auth_data):
        raise ConfigurationError(
            f"kubeconfig {file}: insecure-skip-tls-verify and a certificate authority exclude each other",
            hint="take insecure-skip-tls-verify out",
        )
    if cluster.certificate_auth_data:
        cluster.certificate_auth = None
    if user is not None and user.token_file:
        user.token_file = str(config.abs_file(user.token_file))
    return config
