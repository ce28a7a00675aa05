"""Brings one cluster from what it is to what an add-on should be there; says which issues stand in the way.

Which fields an apply would take from whom is told by :mod:`vpc_cni.cluster.planning`, and carried out by
:mod:`vpc_cni.cluster.writing`; here is what a mode allows, what is deleted, and what a refusal means. Knows clusters as
objects that are read and applied (:class:`~vpc_cni.cluster.trial.Api`), and neither store nor API.
"""

from vpc_cni.addons.engine.engine import AddonEngine

__all__ = ["AddonEngine"]
