"""The plugin ``aws-cni`` and the health probe: C programs, their build, and where their binaries lie.

Importing this package builds nothing. The wheel carries a binary for each architecture; in a source tree
``python -m vpc_cni.plugin.build`` makes them.
"""

from vpc_cni.plugin.locate import ARCHITECTURES, host_architecture, plugin_path, probe_path

__all__ = ["ARCHITECTURES", "host_architecture", "plugin_path", "probe_path"]
