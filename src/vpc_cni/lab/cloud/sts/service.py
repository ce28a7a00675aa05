"""The STS API: its operations, its XML and its words for refusals."""

from html import escape

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.query.dispatcher import Service
from vpc_cni.lab.cloud.query.xml import Tree, render_tree
from vpc_cni.lab.cloud.sts import actions
from vpc_cni.sigv4 import Refusal

VERSION = "2011-06-15"
_NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"


def render_answer(operation: str, tree: Tree, request_id: str) -> bytes:
    """Return the body of a successful answer. Pure."""
    return (
        f'<{operation}Response xmlns="{_NAMESPACE}"><{operation}Result>{render_tree(tree, "member")}'
        f"</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    ).encode()


def render_error(error: CloudApiError, request_id: str) -> bytes:
    """Return the body of an error answer. Pure."""
    fault = "Receiver" if error.status >= 500 else "Sender"
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{fault}</Type><Code>{escape(error.code)}</Code>'
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _invalid_token() -> CloudApiError:
    return CloudApiError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def _expired_token() -> CloudApiError:
    return CloudApiError("ExpiredToken", "The security token included in the request is expired", 403)


def _denied(arn: str, action: str, _opaque: str) -> CloudApiError:
    return CloudApiError("AccessDenied", f"User: {arn} is not authorized to perform: {action}", 403)


def _old_request() -> CloudApiError:
    return CloudApiError("SignatureDoesNotMatch", "Signature expired", 403)


STS = Service(
    name="sts",
    version=VERSION,
    operations={entry.name: entry for entry in actions.OPERATIONS},
    render_answer=render_answer,
    render_error=render_error,
    refusals={
        Refusal.UNSIGNED: errors.missing_authentication,
        Refusal.UNKNOWN_KEY: _invalid_token,
        Refusal.WRONG_SIGNATURE: errors.signature_mismatch,
        Refusal.REQUEST_TOO_OLD: _old_request,
        Refusal.SESSION_EXPIRED: _expired_token,
    },
    denied=_denied,
)
