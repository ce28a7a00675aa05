"""Make docs/settings.md from the table of settings. ``make docs`` writes it; a test compares."""

import sys
from collections.abc import Iterable
from pathlib import Path

from vpc_cni.settings import (
    Container,
    Setting,
    Standing,
    cloud,
    elsewhere,
    host,
    install,
    kubernetes,
    modes,
    network,
    pool,
)

TARGET = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

_INTRO = """\
# Settings

Every environment variable of the node agent, and those of the reference's other containers. This page is made from
`src/vpc_cni/settings/`; `make docs` rewrites it.

How values are read:

- The whole environment is read once, at start. A change needs a restart, which keeps every pod's network.
- An empty value counts as not set (except for `AWS_VPC_K8S_PLUGIN_LOG_FILE`, where it means no log file).
- A wrong value stops the agent at start with one message that names **every** wrong variable, its value, what is
  allowed and what to do. The reference logs a warning and goes on with a default;
  [ADR 0006](adr/0006-refuse-bad-settings.md) says why we do not.
- A variable that asks for something that is not built yet is refused by name. One that merely has no effect here is
  accepted; if it was set to something else than manifests usually say, the agent logs one line at start.
- A variable that begins with `VPC_CNI_` and does not exist is logged with the name that was probably meant.
- Booleans are `1 t T TRUE true True` and `0 f F FALSE false False`, as in Go; anything else is wrong.

Change one with `kubectl -n kube-system set env daemonset/aws-node NAME=VALUE`; `NAME-` removes it.

**Default** is what holds when the variable is not set; where the add-on's manifest sets something else, that follows as
"manifest". **Since** is the version of amazon-vpc-cni-k8s that introduced the variable; `ours` are those it does not
know: they keep their meaning within a major version of vpc-cni.

"""

_GROUPS: tuple[tuple[str, str, tuple[Setting[object], ...]], ...] = (
    ("Address pool", "", pool.SETTINGS),
    ("Links, routes, translation", "", network.SETTINGS),
    (
        "EC2",
        "Credentials, proxies and endpoints: see the [variables of the AWS SDKs](#variables-of-the-aws-sdks).",
        cloud.SETTINGS,
    ),
    ("Files, sockets, logs", "", host.SETTINGS),
    (
        "Kubernetes API",
        "What the agent does there, and what it may: [kubernetes.md](kubernetes.md).",
        kubernetes.SETTINGS,
    ),
    ("Modes", "This release serves IPv4 with secondary addresses. Every other mode is refused by name.", modes.MODES),
    ("Init container", "", install.SETTINGS),
    ("Others", "Variables of the reference that this agent does not act on.", elsewhere.SETTINGS),
)

_SDK = """\
## Variables of the AWS SDKs

Read as every AWS SDK reads them:

| Variable | Meaning |
|---|---|
| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | fixed credentials; for tests |
| `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME` | IAM roles for service accounts |
| `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, `AWS_CONTAINER_AUTHORIZATION_TOKEN`, \
`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` | pod identity |
| `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EC2`, `AWS_ENDPOINT_URL_STS` | other endpoints |
| `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` | `true` chooses that kind of endpoint |
| `AWS_EC2_METADATA_SERVICE_ENDPOINT`, `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE` | another metadata endpoint; `IPv6` |
| `AWS_CA_BUNDLE` | file with certificate authorities |
| `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | proxies, lower case first; never used for metadata |

The first source of credentials that the environment names is used; without one it is the role of the instance.
"""

_CONTAINERS = {
    Container.AGENT: "agent",
    Container.INIT: "init",
    Container.METRICS_HELPER: "metrics helper",
}


def render() -> str:
    """Return the whole page."""
    parts = [_INTRO]
    for title, text, settings in _GROUPS:
        parts.append(f"## {title}\n\n{text}\n\n" if text else f"## {title}\n\n")
        parts.append(_table(settings))
        parts.append("\n")
    return "".join(parts) + _SDK


def _table(settings: Iterable[Setting[object]]) -> str:
    head = "| Variable | Type | Default | Since | Read by | Meaning |\n|---|---|---|---|---|---|\n"
    return head + "".join(_row(setting) for setting in settings)


def _row(setting: Setting[object]) -> str:
    readers = ", ".join(_CONTAINERS[reader] for reader in setting.readers)
    since = f"{setting.since} (ours)" if setting.is_ours else setting.since
    cells = (f"`{setting.name}`", setting.kind.name, _default(setting), since, readers, _meaning(setting))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _default(setting: Setting[object]) -> str:
    default = f"`{setting.default}`" if setting.default else setting.unset
    return default if setting.manifest is None else f"{default}; manifest `{setting.manifest}`"


def _meaning(setting: Setting[object]) -> str:
    if setting.standing is Standing.BUILT and not setting.built:
        return setting.meaning
    return f"{setting.meaning} **{_standing(setting)}**: {setting.why}."


def _standing(setting: Setting[object]) -> str:
    if setting.standing is Standing.NO_EFFECT or not setting.concerns_agent:
        return "No effect" if setting.concerns_agent else "Not built yet"
    built = " or ".join(f"`{str(value).lower()}`" for value in setting.built)
    return f"Only {built}"


def main() -> None:
    if "--write" in sys.argv:
        TARGET.write_text(render())
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main()
