"""The EC2 API: its operations, its XML and its words for refusals."""

from html import escape

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.ec2 import (
    address_actions,
    group_actions,
    instance_actions,
    instance_type_actions,
    interface_actions,
    network_actions,
    reservation_actions,
    tag_actions,
)
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.query.dispatcher import Service
from vpc_cni.lab.cloud.query.xml import HEAD, Tree, render_tree
from vpc_cni.sigv4 import Refusal

VERSION = "2016-11-15"
_NAMESPACE = f"http://ec2.amazonaws.com/doc/{VERSION}/"
_FAMILIES = (
    interface_actions,
    address_actions,
    instance_actions,
    instance_type_actions,
    network_actions,
    group_actions,
    reservation_actions,
    tag_actions,
)


def render_answer(operation: str, tree: Tree, request_id: str) -> bytes:
    """Return the body of a successful answer. Pure."""
    return (
        f'{HEAD}<{operation}Response xmlns="{_NAMESPACE}"><requestId>{request_id}</requestId>'
        f"{render_tree(tree)}</{operation}Response>"
    ).encode()


def render_error(error: CloudApiError, request_id: str) -> bytes:
    """Return the body of an error answer. Pure."""
    return (
        f"{HEAD}<Response><Errors><Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    ).encode()


EC2 = Service(
    name="ec2",
    version=VERSION,
    operations={entry.name: entry for family in _FAMILIES for entry in family.OPERATIONS},
    render_answer=render_answer,
    render_error=render_error,
    refusals={
        Refusal.UNSIGNED: errors.missing_authentication,
        Refusal.UNKNOWN_KEY: errors.auth_failure,
        Refusal.WRONG_SIGNATURE: errors.auth_failure,
        Refusal.REQUEST_TOO_OLD: errors.request_expired,
        Refusal.SESSION_EXPIRED: errors.request_expired,
    },
    denied=errors.unauthorized,
    budgeted=True,
)
