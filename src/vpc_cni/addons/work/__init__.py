"""Workers: they take operations from the store by lease, make clusters what was asked for, and watch health.

Knows clusters and the engine by their contract alone (``ports``).
"""

from vpc_cni.addons.model import Applied, Health
from vpc_cni.addons.work.backoff import Backoff
from vpc_cni.addons.work.crew import CrewSize
from vpc_cni.addons.work.ports import Clusters, Connections, Engine
from vpc_cni.addons.work.service import Workers
from vpc_cni.addons.work.settings import WorkSettings

__all__ = [
    "Applied",
    "Backoff",
    "Clusters",
    "Connections",
    "CrewSize",
    "Engine",
    "Health",
    "WorkSettings",
    "Workers",
]
