"""What stands in for the reference's images on a cluster: they do to a node's files what the reference does at a start.

The agent reads ``ipam.json`` and writes it anew, with its encoder's newline at the end; the init container puts a
plugin that is not ours on the host. Neither starts pods: what is to be seen is that ours, and pods that run, go on.
Source: amazon-vpc-cni-k8s pkg/ipamd/datastore (``ReadBackingStore``, ``JSONFile.Checkpoint``), scripts/init.
"""

import json
from pathlib import Path

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.images import SHELL
from vpc_cni.lab.kubernetes.images.archive import Image, encode_archive

_RUN_DIR = "/var/run/aws-node"
_WAIT = "trap 'exit 0' TERM; sleep 3600 & wait"
_AGENT = f"""#!/bin/sh
cd {_RUN_DIR}
printf '%s\\n' "$(cat ipam.json)" > ipam.json.tmp
mv ipam.json.tmp ipam.json
{_WAIT}
"""
_INIT = """#!/bin/sh
cd /host/opt/cni/bin
printf '#!/bin/sh\\nexit 1\\n' > aws-cni.tmp
chmod 755 aws-cni.tmp
mv aws-cni.tmp aws-cni
"""
_PROGRAMS = {
    "amazon-k8s-cni": _AGENT,
    "amazon-k8s-cni-init": _INIT,
    "amazon/aws-network-policy-agent": f"#!/bin/sh\n{_WAIT}\n",
}
_PROBE = "/app/grpc-health-probe"
_APPLETS = ("sh", "cat", "chmod", "mv", "sleep")


def write_archives(folder: Path, registry: str, version: str) -> list[Path]:
    """Write an archive of each image under the name that manifests have for it; only the network policy's differs.

    Args:
        version: of all of them, such as ``v1.16.2``; the policy agent's has a version of its own, v1.0.7.
    """
    made = []
    for name, program in _PROGRAMS.items():
        tag = "v1.0.7" if "policy" in name else version
        files = {"/bin/busybox": SHELL.read_bytes(), "/app/main": program.encode(), _PROBE: b"#!/bin/sh\n"}
        links = {f"/bin/{applet}": "busybox" for applet in _APPLETS}
        path = folder / f"{name.replace('/', '-')}.tar"
        path.write_bytes(encode_archive(Image(f"{registry}/{name}:{tag}", files, ["/app/main"], links)))
        made.append(path)
    return made


def chains(lab: Lab, node: str) -> list[str]:
    """Return the rules of the reference on a node."""
    saved = lab.kubernetes.run(node, ["iptables-save"]).stdout
    return [line for line in saved.splitlines() if line.startswith("-A") and "AWS" in line]


def has_our_table(lab: Lab, node: str) -> bool:
    return "table ip vpc-cni" in lab.kubernetes.run(node, ["nft", "list", "tables"]).stdout


def forget_us(lab: Lab, node: str) -> None:
    """Remove what our agent knows and wrote on links, as if the reference had run there from the beginning."""
    for link in json.loads(lab.kubernetes.run(node, ["ip", "-j", "link", "show", "type", "veth"]).stdout):
        if link["ifname"].startswith("eni"):
            lab.kubernetes.run(node, ["ip", "link", "set", link["ifname"], "alias", ""])
    lab.kubernetes.run(node, ["rm", "-r", f"{_RUN_DIR}/journal", f"{_RUN_DIR}/handback"])
