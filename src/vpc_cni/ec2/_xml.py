"""Answers of the query protocol: bytes to a tree, and errors out of a tree. Pure."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from vpc_cni.ec2.failures import MALFORMED, translate
from vpc_cni.errors import CloudError


def parse_answer(operation: str, body: bytes) -> Element:
    """Return the root element, namespaces removed from all names.

    Raises:
        CloudError: with code MALFORMED when the body is no XML or declares a document type (no AWS service does;
            entities are how a small body becomes a large tree).
    """
    try:
        # As UTF-8 whatever it declares: another encoding would hide a document type from the check below.
        document = body.decode("utf-8")
        if "<!DOCTYPE" in document:
            raise malformed(operation, "it declares a document type")
        root = ElementTree.fromstring(document)  # noqa: S314 - no document type, bounded size
    except (ElementTree.ParseError, UnicodeDecodeError) as err:
        raise malformed(operation, f"it is no XML: {err}") from err
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def parse_error(operation: str, service: str, status: int, body: bytes) -> CloudError:
    """Return the exception for an error answer, whatever its body holds.

    EC2 answers ``Response/Errors/Error``, STS ``ErrorResponse/Error``; a proxy or load balancer anything.
    """
    try:
        root = parse_answer(operation, body)
    except CloudError:
        return translate(operation, service, "", body[:200].decode("utf-8", "replace"), status)
    error = root.find(".//Error")
    if error is None:
        return translate(operation, service, "", root.tag, status)
    return translate(operation, service, text(error, "Code"), text(error, "Message"), status)


def malformed(operation: str, reason: str) -> CloudError:
    """Return the exception for an answer that is not as the service would give it."""
    return CloudError(
        f"{operation}: the answer cannot be read: {reason}",
        operation=operation,
        code=MALFORMED,
        hint="check for a proxy between this node and the service",
    )


def text(element: Element, path: str) -> str:
    """Return the text at ``path`` without surrounding space; empty when there is none."""
    return (element.findtext(path) or "").strip()


def flag(element: Element, path: str) -> bool:
    return text(element, path) == "true"


def number(element: Element, path: str) -> int:
    """Return the integer at ``path``; 0 when there is none."""
    return int(text(element, path) or "0")


def items(element: Element, path: str) -> list[Element]:
    """Return the members of the list at ``path``; empty when there is none."""
    return element.findall(f"{path}/item")
