"""The document that an agent serves at ``/v1/status``.

An agent may add keys: readers ignore what they do not know. It never removes one or changes its type; a reader
of a later release may meet an agent of an earlier one, so keys marked as not required may be absent. Times are RFC
3339 in UTC; counts are of pod addresses.
"""

from typing import NotRequired, TypedDict, cast

from vpc_cni.errors import HostError


class NodeStatus(TypedDict):
    """The agent itself. ``reasons`` say why it is not ready; empty when it is."""

    instance_id: str
    instance_type: str
    availability_zone: str
    agent_version: str
    uptime_seconds: float
    ready: bool
    reasons: list[str]


class EniStatus(TypedDict):
    """One ENI; ``state`` is a word such as ``ready`` or ``attaching``."""

    eni_id: str
    device_number: int
    mac: str
    subnet_id: str
    primary_address: str
    state: str
    total: int
    assigned: int
    cooling: int
    free: int
    quarantined: int


class PodStatus(TypedDict):
    """One pod that holds an address."""

    namespace: str
    name: str
    container_id: str
    ifname: str
    address: str
    eni_id: str
    since: str


class QuarantinedAddress(TypedDict):
    """An address that is neither given out nor freed until it is known who holds it."""

    address: str
    reason: str
    detail: str


class PoolStatus(TypedDict):
    """Sums over all ENIs, and what the last plan says.

    ``targets`` maps a variable to its value, None where there is no limit. ``explanation`` are sentences, ``actions``
    what is being done about them; both may be empty.
    """

    total: int
    assigned: int
    cooling: int
    free: int
    quarantined: int
    waiting: int
    targets: dict[str, int | None]
    explanation: list[str]
    actions: list[str]
    quarantine: NotRequired[list[QuarantinedAddress]]


class ErrorStatus(TypedDict):
    """Something that failed, newest last."""

    at: str
    operation: str
    code: str
    message: str
    hint: str


class Status(TypedDict):
    """The whole document. ``spool`` counts recorded DELs that wait to be replayed."""

    node: NodeStatus
    enis: list[EniStatus]
    pods: list[PodStatus]
    pool: PoolStatus
    errors: list[ErrorStatus]
    spool: int


def check_status(document: object) -> Status:
    """Return the document if it has every required key of the outer two levels.

    Raises:
        HostError: it has not; the message names what is missing.
    """
    missing = _missing_keys(document)
    if missing:
        raise HostError(
            f"the answer is not the status of a vpc-cni agent: it lacks {', '.join(missing)}",
            hint="check the address; another release of the agent may need another release of this command",
        )
    return cast(Status, document)


def _missing_keys(document: object) -> list[str]:
    if not isinstance(document, dict):
        return ["everything (it is no JSON object)"]
    missing = [key for key in sorted(Status.__required_keys__) if key not in document]
    for name, rows, shape in (
        ("node", [document.get("node")], NodeStatus),
        ("pool", [document.get("pool")], PoolStatus),
        ("enis[]", document.get("enis"), EniStatus),
        ("pods[]", document.get("pods"), PodStatus),
        ("errors[]", document.get("errors"), ErrorStatus),
    ):
        for row in rows if isinstance(rows, list) else []:
            present = row if isinstance(row, dict) else {}
            absent = sorted(shape.__required_keys__ - present.keys())
            missing += [f"{name}.{key}" for key in absent if f"{name}.{key}" not in missing]
    return missing
