"""EC2 calls of the node agent, typed. The only place that knows EC2's parameter names.

Synchronous and thread safe: the agent calls it from worker threads, never from its event loop. A call blocks at most
``call_seconds`` (budget, requests, retries) and ends early when ``Timing.stopping`` is set.

A call whose repetition would do the work twice is not repeated after a lost answer; it fails with a code for which
``failures.is_outcome_unknown`` holds, and the caller reads the state before it tries again.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import TypeVar
from xml.etree.ElementTree import Element

from vpc_cni.ec2 import _decode
from vpc_cni.ec2._query import Parameter
from vpc_cni.ec2._service import Operation, QueryService
from vpc_cni.ec2._xml import malformed
from vpc_cni.ec2.budget import CallKind
from vpc_cni.ec2.failures import missing_interface_ids
from vpc_cni.ec2.results import Instance, InstanceType, NetworkInterface, Subnet
from vpc_cni.ec2.retry import Repeat
from vpc_cni.errors import NotFoundError

T = TypeVar("T")

_ENI_SETTLING = frozenset({"InvalidNetworkInterfaceID.NotFound"})
_ATTACHMENT_SETTLING = _ENI_SETTLING | {"InvalidAttachmentID.NotFound", "InvalidAttachment.NotFound"}
_GONE = frozenset({"InvalidAttachmentID.NotFound", "InvalidAttachment.NotFound", "InvalidNetworkInterfaceID.NotFound"})


def _mutating(name: str, repeat: Repeat, settling: frozenset[str] = frozenset()) -> Operation:
    return Operation(name, CallKind.MUTATING, repeat, settling)


def _reading(name: str) -> Operation:
    return Operation(name, CallKind.READING, Repeat.SAFE)


CREATE_NETWORK_INTERFACE = _mutating("CreateNetworkInterface", Repeat.SAFE)  # by its client token
ATTACH_NETWORK_INTERFACE = _mutating("AttachNetworkInterface", Repeat.DOUBLES, _ENI_SETTLING)
MODIFY_NETWORK_INTERFACE = _mutating("ModifyNetworkInterfaceAttribute", Repeat.SAFE, _ATTACHMENT_SETTLING)
ASSIGN_PRIVATE_ADDRESSES = _mutating("AssignPrivateIpAddresses", Repeat.DOUBLES)
UNASSIGN_PRIVATE_ADDRESSES = _mutating("UnassignPrivateIpAddresses", Repeat.DOUBLES)
DETACH_NETWORK_INTERFACE = _mutating("DetachNetworkInterface", Repeat.SAFE)
DELETE_NETWORK_INTERFACE = _mutating("DeleteNetworkInterface", Repeat.SAFE)
CREATE_TAGS = _mutating("CreateTags", Repeat.SAFE, _ENI_SETTLING)
DESCRIBE_NETWORK_INTERFACES = _reading("DescribeNetworkInterfaces")
DESCRIBE_INSTANCES = _reading("DescribeInstances")
DESCRIBE_INSTANCE_TYPES = _reading("DescribeInstanceTypes")
DESCRIBE_SUBNETS = _reading("DescribeSubnets")

_FILTER_VALUES = 200  # EC2 accepts no more values in a filter
_PAGE_SIZE = 200  # 1,000 is allowed; an interface may hold 50 addresses, and the tree of a page lives in memory


class Ec2Client:
    """Typed EC2 calls. All methods raise ``CloudError`` and its children; ``operation`` and ``code`` are set."""

    def __init__(self, service: QueryService) -> None:
        self._service = service

    def create_network_interface(
        self,
        *,
        subnet_id: str,
        security_groups: Sequence[str],
        description: str,
        tags: Mapping[str, str],
        secondary_address_count: int = 0,
        client_token: str | None = None,
    ) -> NetworkInterface:
        """Create an interface that carries its secondary addresses from the start; not attached yet.

        Args:
            client_token: at most 64 characters; repeating a call with the same token and parameters returns the
                same interface. None makes a fresh one.
        """
        parameters: dict[str, Parameter] = {
            "SubnetId": subnet_id,
            "SecurityGroupId": list(security_groups),
            "Description": description,
            "TagSpecification": [{"ResourceType": "network-interface", "Tag": _tags(tags)}] if tags else [],
        }
        if secondary_address_count:
            parameters["SecondaryPrivateIpAddressCount"] = secondary_address_count
        parameters["ClientToken"] = client_token or str(uuid.uuid4())
        return self._service.call(CREATE_NETWORK_INTERFACE, parameters, _decode.created_interface)

    def attach_network_interface(
        self, *, eni_id: str, instance_id: str, device_number: int, network_card: int = 0
    ) -> str:
        """Attach an interface; return the attachment id. The link appears on the instance some time later."""
        parameters: dict[str, Parameter] = {
            "NetworkInterfaceId": eni_id,
            "InstanceId": instance_id,
            "DeviceIndex": device_number,
        }
        if network_card:
            parameters["NetworkCardIndex"] = network_card
        return self._service.call(ATTACH_NETWORK_INTERFACE, parameters, _decode.attachment_id)

    def set_delete_on_termination(self, *, eni_id: str, attachment_id: str, enabled: bool = True) -> None:
        """Let EC2 delete the interface together with its instance."""
        attachment: dict[str, Parameter] = {"AttachmentId": attachment_id, "DeleteOnTermination": enabled}
        self._change(MODIFY_NETWORK_INTERFACE, {"NetworkInterfaceId": eni_id, "Attachment": attachment})

    def set_security_groups(self, *, eni_id: str, security_groups: Sequence[str]) -> None:
        """Replace the security groups of an interface."""
        self._change(MODIFY_NETWORK_INTERFACE, {"NetworkInterfaceId": eni_id, "SecurityGroupId": list(security_groups)})

    def assign_private_ip_addresses(self, *, eni_id: str, count: int) -> tuple[IPv4Address, ...]:
        """Add ``count`` secondary addresses of EC2's choice; return them. All or none."""
        return self._service.call(
            ASSIGN_PRIVATE_ADDRESSES,
            {"NetworkInterfaceId": eni_id, "SecondaryPrivateIpAddressCount": count},
            _decode.assigned_addresses,
        )

    def unassign_private_ip_addresses(self, *, eni_id: str, addresses: Iterable[IPv4Address]) -> None:
        """Give secondary addresses back. EC2 refuses the whole call when one of them is not on the interface."""
        values = [str(address) for address in addresses]
        self._change(UNASSIGN_PRIVATE_ADDRESSES, {"NetworkInterfaceId": eni_id, "PrivateIpAddress": values})

    def detach_network_interface(self, *, attachment_id: str) -> None:
        """Begin to detach an interface; succeeds when the attachment is already gone."""
        self._remove(DETACH_NETWORK_INTERFACE, {"AttachmentId": attachment_id})

    def delete_network_interface(self, *, eni_id: str) -> None:
        """Delete a detached interface; succeeds when it is already gone.

        Raises:
            CloudError: ``InvalidNetworkInterface.InUse`` or ``InvalidParameterValue`` while it is still attached.
        """
        self._remove(DELETE_NETWORK_INTERFACE, {"NetworkInterfaceId": eni_id})

    def create_tags(self, *, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Add or overwrite tags."""
        self._change(CREATE_TAGS, {"ResourceId": list(resource_ids), "Tag": _tags(tags)})

    def describe_network_interfaces(self, *, ids: Sequence[str]) -> tuple[NetworkInterface, ...]:
        """Return those of the interfaces that exist, in EC2's order. No ids, no call."""
        wanted = list(dict.fromkeys(ids))
        while wanted:
            try:
                return self._service.call(
                    DESCRIBE_NETWORK_INTERFACES, {"NetworkInterfaceId": wanted}, _decode.network_interfaces
                )
            except NotFoundError as err:
                missing = missing_interface_ids(err).intersection(wanted)
                if not missing:
                    raise
                wanted = [eni_id for eni_id in wanted if eni_id not in missing]
        return ()

    def find_network_interfaces(
        self, *, filters: Mapping[str, Sequence[str]], page_size: int = _PAGE_SIZE
    ) -> Iterator[NetworkInterface]:
        """Yield the interfaces that match all filters (name to accepted values), a page at a time."""
        return self._pages(
            DESCRIBE_NETWORK_INTERFACES, {"Filter": _filters(filters)}, _decode.network_interfaces, page_size
        )

    def describe_instance(self, *, instance_id: str) -> Instance:
        """Return an instance with its attached interfaces.

        Raises:
            NotFoundError: EC2 does not know it (any more).
        """
        for instance in self._service.call(DESCRIBE_INSTANCES, {"InstanceId": [instance_id]}, _decode.instances):
            return instance
        raise NotFoundError(
            f"DescribeInstances: no instance {instance_id}",
            operation=DESCRIBE_INSTANCES.name,
            code="InvalidInstanceID.NotFound",
        )

    def describe_instances(self, *, ids: Iterable[str]) -> tuple[Instance, ...]:
        """Return those of the instances that EC2 still knows, terminated ones included for about an hour.

        By filter, because a lookup by id fails as a whole when one instance is gone.
        """
        wanted = list(dict.fromkeys(ids))
        found: list[Instance] = []
        for start in range(0, len(wanted), _FILTER_VALUES):
            filters = _filters({"instance-id": wanted[start : start + _FILTER_VALUES]})
            found.extend(self._pages(DESCRIBE_INSTANCES, {"Filter": filters}, _decode.instances, _PAGE_SIZE))
        return tuple(found)

    def describe_instance_type(self, *, name: str) -> InstanceType:
        """Return the network limits of an instance type."""
        for found in self._service.call(DESCRIBE_INSTANCE_TYPES, {"InstanceType": [name]}, _decode.instance_types):
            return found
        raise NotFoundError(
            f"DescribeInstanceTypes: no type {name}", operation=DESCRIBE_INSTANCE_TYPES.name, code="InvalidInstanceType"
        )

    def describe_subnets(
        self, *, ids: Sequence[str] = (), filters: Mapping[str, Sequence[str]] | None = None
    ) -> tuple[Subnet, ...]:
        """Return subnets by id (fails when one is missing), by filters, or both."""
        parameters: dict[str, Parameter] = {}
        if filters:
            parameters["Filter"] = _filters(filters)
        if ids:
            parameters["SubnetId"] = list(ids)
        return self._service.call(DESCRIBE_SUBNETS, parameters, _decode.subnets)

    def _change(self, operation: Operation, parameters: Mapping[str, Parameter]) -> None:
        self._service.call(operation, parameters, _decode.nothing)

    def _remove(self, operation: Operation, parameters: Mapping[str, Parameter]) -> None:
        try:
            self._change(operation, parameters)
        except NotFoundError as err:
            if err.code not in _GONE:
                raise

    def _pages(
        self,
        operation: Operation,
        parameters: Mapping[str, Parameter],
        read: Callable[[Element], tuple[T, ...]],
        page_size: int,
    ) -> Iterator[T]:
        token = ""
        while True:
            page: dict[str, Parameter] = {**parameters, "MaxResults": page_size}
            if token:
                page["NextToken"] = token
            members, following = self._service.call(
                operation, page, lambda root: (read(root), _decode.next_token(root))
            )
            yield from members
            if not following:
                return
            if following == token:
                raise malformed(operation.name, "its page token repeats")
            token = following


def _tags(tags: Mapping[str, str]) -> list[Parameter]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _filters(filters: Mapping[str, Sequence[str]]) -> list[Parameter]:
    return [{"Name": name, "Value": list(values)} for name, values in filters.items()]
