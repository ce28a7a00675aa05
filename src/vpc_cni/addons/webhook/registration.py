"""The object that tells an API server of the webhook. Pure."""

import base64

from vpc_cni.manifests import Manifest

NAME = "pod-identity-webhook"
PATH = "/mutate"
_TIMEOUT_SECONDS = 5


def webhook_configuration(url: str, certificate: bytes) -> Manifest:
    """Return the MutatingWebhookConfiguration.

    A webhook that is away must not keep pods from starting, the agent's least of all: its failure is ignored.

    Args:
        url: ``https://HOST:PORT/mutate``, as the API server reaches it.
        certificate: PEM that the API server shall trust.
    """
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "iam-for-pods.amazonaws.com",
                "clientConfig": {"url": url, "caBundle": base64.b64encode(certificate).decode("ascii")},
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                        "scope": "Namespaced",
                    }
                ],
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                # Containers that other webhooks add shall have the role, too.
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": _TIMEOUT_SECONDS,
            }
        ],
    }
