"""Every environment variable, once: the agent reads it here, and documentation and schema are made from it.

``SETTINGS`` is the table. ``load_agent_settings(os.environ)`` is what the agent calls, ``load_install_settings`` the
init container. To add a variable, write a ``Setting`` into the module of its subject, list it in that module's
``SETTINGS``, read it in the module's ``read_`` function, and run ``make docs``.
"""

from vpc_cni.settings._setting import Container, Kind, Setting, Standing, Unacceptable
from vpc_cni.settings.agent import SETTINGS, AgentSettings, load_agent_settings
from vpc_cni.settings.cloud import CloudSettings
from vpc_cni.settings.host import AGENT_SOCKET_NAME, INTROSPECTION_SOCKET_NAME, HostSettings
from vpc_cni.settings.install import InstallSettings, load_install_settings
from vpc_cni.settings.kubernetes import KubernetesSettings
from vpc_cni.settings.network import NetworkSettings
from vpc_cni.settings.pool import PoolSettings

__all__ = [
    "AGENT_SOCKET_NAME",
    "INTROSPECTION_SOCKET_NAME",
    "SETTINGS",
    "AgentSettings",
    "CloudSettings",
    "Container",
    "HostSettings",
    "InstallSettings",
    "Kind",
    "KubernetesSettings",
    "NetworkSettings",
    "PoolSettings",
    "Setting",
    "Standing",
    "Unacceptable",
    "load_agent_settings",
    "load_install_settings",
]
