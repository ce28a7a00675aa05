"""Run a whole chain of plugins the way a container runtime does: ADD in order, DEL backwards, results kept.

``Runtime`` is synchronous: each call runs programs in the network and mount namespace of the calling thread. It
allows parallel calls for different containers, never for one (SPEC.md, "Lifecycle & Ordering").
"""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import ConfigurationError, HostError, VpcCniError
from vpc_cni.lab.runtime.config import (
    Attachment,
    JsonObject,
    NetworkConfig,
    PluginConfig,
    derive_plugin_config,
    parse_network_config,
    version_at_least,
)
from vpc_cni.lab.runtime.invoke import find_plugin, run_plugin

CALL_TIMEOUT_SECONDS = 70.0  # the plugin's own limit for an ADD is 60 s; a runtime must outlast it


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime of one node.

    Args:
        conf_dir: where the conflist is looked for; the first name in alphabetical order wins, as in kubelet.
        plugin_dirs: searched in order.
        cache_dir: results of ADD, one file for each attachment.
    """

    conf_dir: Path
    plugin_dirs: tuple[Path, ...]
    cache_dir: Path

    def load_network(self) -> NetworkConfig:
        """Read the conflist now, since the agent may have rewritten it.

        Raises:
            ConfigurationError: there is none, or it is broken.
        """
        path = first_conflist(self.conf_dir)
        return parse_network_config(path.read_text(), str(path))

    def add(self, attachment: Attachment) -> JsonObject:
        """Attach a container and return the final result, which is kept for CHECK and DEL.

        A failed ADD is followed by a DEL of the whole chain, as the specification asks of runtimes.

        Raises:
            PluginError, HostError, ConfigurationError: the first failure; the DEL's own failure is not reported.
        """
        network = self.load_network()
        try:
            result = self._add_chain(network, attachment)
        except VpcCniError:
            with suppress(VpcCniError):
                self._delete_chain(network, attachment, None)
            raise
        self._store(network, attachment, result)
        return result

    def delete(self, attachment: Attachment) -> None:
        """Detach a container, with the kept result when there is one. May be repeated."""
        network = self.load_network()
        self._delete_chain(network, attachment, self._cached(network, attachment))
        self._cache_path(network, attachment).unlink(missing_ok=True)

    def check(self, attachment: Attachment) -> bool:
        """Run CHECK through the chain; False when the network or its version leaves it out.

        Raises:
            PluginError: the first plugin that found something wrong.
            ConfigurationError: the container was not added.
        """
        network = self.load_network()
        if network.disable_check or not version_at_least(network.cni_version, "0.4.0"):
            return False
        result = self._cached(network, attachment)
        if result is None:
            raise ConfigurationError(f"container {attachment.container_id} has no kept result: it was never added")
        for plugin in network.plugins:
            self._call("CHECK", network, plugin, attachment, result)
        return True

    def status(self) -> bool:
        """Ask each plugin whether it can serve; False when the network's version has no STATUS (before 1.1.0)."""
        network = self.load_network()
        if not version_at_least(network.cni_version, "1.1.0"):
            return False
        for plugin in network.plugins:
            config = derive_plugin_config(network, plugin, {}, None)
            self._run(plugin, {"CNI_COMMAND": "STATUS", "CNI_PATH": self._path_variable}, config)
        return True

    def collect_garbage(self, valid: Iterable[Attachment]) -> bool:
        """Tell each plugin which attachments exist; False when the network leaves GC out."""
        network = self.load_network()
        if network.disable_gc or not version_at_least(network.cni_version, "1.1.0"):
            return False
        listed = [{"containerID": each.container_id, "ifname": each.ifname} for each in valid]
        for plugin in network.plugins:
            config = derive_plugin_config(network, plugin, {}, None)
            config["cni.dev/valid-attachments"] = config["cni.dev/attachments"] = listed
            self._run(plugin, {"CNI_COMMAND": "GC", "CNI_PATH": self._path_variable}, config)
        return True

    def _add_chain(self, network: NetworkConfig, attachment: Attachment) -> JsonObject:
        result: JsonObject | None = None
        for plugin in network.plugins:
            result = self._call("ADD", network, plugin, attachment, result)
            if result is None:
                raise HostError(f"{plugin.type} ADD printed no result for container {attachment.container_id}")
        if result is None:
            raise ConfigurationError(f"network {network.name} has no plugins")
        return result

    def _delete_chain(self, network: NetworkConfig, attachment: Attachment, result: JsonObject | None) -> None:
        # prevResult of DEL exists since 0.4.0.
        known = result if version_at_least(network.cni_version, "0.4.0") else None
        for plugin in reversed(network.plugins):
            self._call("DEL", network, plugin, attachment, known)

    def _call(
        self,
        command: str,
        network: NetworkConfig,
        plugin: PluginConfig,
        attachment: Attachment,
        prev_result: JsonObject | None,
    ) -> JsonObject | None:
        config = derive_plugin_config(network, plugin, attachment.capability_args, prev_result)
        return self._run(plugin, attachment.environment(command, self._path_variable), config)

    def _run(self, plugin: PluginConfig, environment: dict[str, str], config: JsonObject) -> JsonObject | None:
        program = find_plugin(plugin.type, self.plugin_dirs)
        return run_plugin(program, environment, config, CALL_TIMEOUT_SECONDS)

    @property
    def _path_variable(self) -> str:
        return os.pathsep.join(map(str, self.plugin_dirs))

    def _cache_path(self, network: NetworkConfig, attachment: Attachment) -> Path:
        # Hashed: the three parts may be longer together than a file name.
        key = f"{network.name}/{attachment.container_id}/{attachment.ifname}"
        return self.cache_dir / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _cached(self, network: NetworkConfig, attachment: Attachment) -> JsonObject | None:
        try:
            kept = json.loads(self._cache_path(network, attachment).read_text())
        except FileNotFoundError:
            return None
        result: JsonObject = kept["result"]
        return result

    def _store(self, network: NetworkConfig, attachment: Attachment, result: JsonObject) -> None:
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        target = self._cache_path(network, attachment)
        staged = target.with_suffix(".tmp")
        kept = {"containerId": attachment.container_id, "ifName": attachment.ifname, "result": result}
        staged.write_text(json.dumps(kept))
        staged.replace(target)


def first_conflist(directory: Path) -> Path:
    """Return the configuration list that a runtime would use.

    Raises:
        ConfigurationError: the directory holds none: the node's network is not ready.
    """
    found = sorted(directory.glob("*.conflist"))
    if not found:
        raise ConfigurationError(
            f"no conflist in {directory}: the node's agent is not serving yet",
            hint="look at the agent's log",
            retryable=True,
        )
    return found[0]
