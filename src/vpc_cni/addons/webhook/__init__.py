"""Injects IAM roles into pods of annotated service accounts, as the pod identity webhook of EKS does.

``injection`` and ``review`` are pure; ``serving`` answers an API server over TLS. Annotations, variables and the volume
are those of the public webhook, so pods cannot tell the two apart.
"""

from vpc_cni.addons.webhook.certificate import Certificate, make_certificate
from vpc_cni.addons.webhook.injection import Identity, plan_injection, read_identity
from vpc_cni.addons.webhook.registration import webhook_configuration
from vpc_cni.addons.webhook.review import answer_review
from vpc_cni.addons.webhook.serving import WebhookServer

__all__ = [
    "Certificate",
    "Identity",
    "WebhookServer",
    "answer_review",
    "make_certificate",
    "plan_injection",
    "read_identity",
    "webhook_configuration",
]
