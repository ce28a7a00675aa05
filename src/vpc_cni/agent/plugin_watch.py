"""Notices that the plugin on the host is not the one that speaks with this agent.

A runtime calls whatever is named ``aws-cni`` in its folder of plugins. After half a roll-out, or beside another
program that installs plugins too, that may be the reference's, which asks a port where nobody listens: every ADD of
the node fails, and no request ever comes here. So such a node is not ready, which also stops a roll-out at it.

The plugin is known by the socket that is compiled into it, not by a digest: while a new version is rolled out the new
plugin stands beside the old agent, and both understand each other.
"""

import logging
from pathlib import Path

_log = logging.getLogger(__name__)
_NAME = "aws-cni"
_MARK = b"/var/run/aws-node/vpc-cni.sock"
# Ours has 100 KB, the reference's tens of megabytes: what is larger than this is not read.
_MOST_BYTES = 4 << 20
_REMEDY = (
    "delete the aws-node pod of this node, whose init container installs the plugin; if it is the same again, that "
    "container's image is not of this agent's release"
)


class PluginWatch:
    """Looks at the plugin again when its file has changed. Ask from any thread.

    Args:
        directory: the host's folder of plugins; where it cannot be seen, nothing is said.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _NAME
        self._signature: tuple[int, ...] = ()
        self._problem = ""

    def problem(self) -> str:
        """Return why the runtime cannot reach this agent, and what to do; empty when it can, or that is not known."""
        signature: tuple[int, ...] = ()
        try:
            found = self._path.stat()
            signature = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            problem = self._problem if signature == self._signature else self._judge(found.st_size)
        except FileNotFoundError:
            is_visible = self._path.parent.is_dir()
            problem = f"there is no plugin {_NAME} on the host: {_REMEDY}" if is_visible else ""
        except OSError as err:
            problem = f"the plugin {_NAME} on the host cannot be read: {err.strerror}"
        if problem and problem != self._problem:
            _log.error("%s", problem)
        self._signature, self._problem = signature, problem
        return problem

    def _judge(self, size: int) -> str:
        if size <= _MOST_BYTES and _MARK in self._path.read_bytes():
            return ""
        return f"the plugin {_NAME} on the host is another implementation's, so pods cannot start: {_REMEDY}"
