"""The CustomResourceDefinitions of the add-on, as plain data. Pure."""

from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]

ENI_CONFIG_API_VERSION = "crd.k8s.amazonaws.com/v1alpha1"


def eni_config_definition(*, with_fields: bool = False) -> Manifest:
    """Return the definition of ENIConfig: subnet and security groups of pods, one object for each zone.

    ``with_fields`` describes these two, as newer versions do; others are kept either way.
    """
    described = {"properties": _eni_config_fields()} if with_fields else {}
    return _definition(
        "crd.k8s.amazonaws.com",
        {"plural": "eniconfigs", "singular": "eniconfig", "kind": "ENIConfig"},
        scope="Cluster",
        version={
            "name": "v1alpha1",
            "served": True,
            "storage": True,
            "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, **described}
            },
        },
    )


def _eni_config_fields() -> Manifest:
    spec = {
        "type": "object",
        "required": ["subnet"],
        "properties": {"securityGroups": _list(_STRING), "subnet": _STRING},
    }
    return {
        "apiVersion": _STRING,
        "kind": _STRING,
        "metadata": {"type": "object"},
        "spec": spec,
        "status": {"type": "object"},
    }


def policy_endpoint_definition(*, with_domains: bool = False) -> Manifest:
    """Return the definition of PolicyEndpoint: a network policy, resolved to addresses for the agents on nodes.

    ``with_domains`` lets a peer be a domain name in the place of an address range.
    """
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": _policy_endpoint_spec(with_domains=with_domains),
        "status": {"type": "object"},
    }
    names = {
        "kind": "PolicyEndpoint",
        "listKind": "PolicyEndpointList",
        "plural": "policyendpoints",
        "singular": "policyendpoint",
    }
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    return _definition("networking.k8s.aws", names, scope="Namespaced", version=version)


def _definition(group: str, names: dict[str, str], *, scope: str, version: Manifest) -> Manifest:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {
            "scope": scope,
            "group": group,
            "preserveUnknownFields": False,
            "names": names,
            "versions": [version],
        },
    }


def _policy_endpoint_spec(*, with_domains: bool) -> Manifest:
    reference = _fields(name=_STRING, namespace=_STRING)
    endpoint = _fields(hostIP=_STRING, name=_STRING, namespace=_STRING, podIP=_STRING)
    port = {
        "type": "object",
        "properties": {
            "protocol": {"type": "string", "default": "TCP"},
            "port": {"type": "integer", "format": "int32"},
            "endPort": {"type": "integer", "format": "int32"},
        },
    }
    addresses = {"cidr": _STRING, "except": _list(_STRING), "ports": _list(port)}
    peer: Manifest = {"type": "object", "required": ["cidr"], "properties": addresses}
    if with_domains:
        peer = {"type": "object", "properties": {**addresses, "domainName": {"type": "string", "pattern": _DOMAIN}}}
    return {
        "type": "object",
        "required": ["policyRef"],
        "properties": {
            "policyRef": reference,
            "podIsolation": _list(_STRING),
            "podSelector": _label_selector(atomic_lists=with_domains),
            "podSelectorEndpoints": _list(endpoint),
            "ingress": _list(peer),
            "egress": _list(peer),
        },
    }


def _label_selector(*, atomic_lists: bool) -> Manifest:
    as_one = {"x-kubernetes-list-type": "atomic"} if atomic_lists else {}
    expression = {
        "type": "object",
        "required": ["key", "operator"],
        "properties": {"key": _STRING, "operator": _STRING, "values": {**_list(_STRING), **as_one}},
    }
    return {
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchExpressions": {**_list(expression), **as_one},
            "matchLabels": {"type": "object", "additionalProperties": _STRING},
        },
    }


_STRING: Manifest = {"type": "string"}
_LABEL = "[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?"
# A name with at least two labels, the first of which may be a star.
_DOMAIN = rf"^(\*\.)?({_LABEL}\.)+{_LABEL}\.?$"


def _list(items: Manifest) -> Manifest:
    return {"type": "array", "items": items}


def _fields(**properties: Manifest) -> Manifest:
    """Return an object all of whose fields are required."""
    return {"type": "object", "required": list(properties), "properties": properties}
