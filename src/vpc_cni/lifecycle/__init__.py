"""The life of the managed add-on, from its operator's side: against EKS, or against the add-on service.

Decisions are pure modules here; what acts is thin. ``aws`` alone needs boto3, and clusters are reached through
``vpc_cni.cluster.client``. Nothing here knows the service: both meet at the EKS API.
"""
