"""Operations on instances."""

from dataclasses import replace

from vpc_cni.lab.cloud import errors, instances
from vpc_cni.lab.cloud.ec2.filters import FilterTable, always
from vpc_cni.lab.cloud.ec2.interface_actions import ADDRESS_PARAMETERS, interface_request
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.ec2.tag_actions import tags_for
from vpc_cni.lab.cloud.ec2.views import instance_view, metadata_options_view, state_view
from vpc_cni.lab.cloud.instances import InterfaceSpec, RunRequest
from vpc_cni.lab.cloud.query.operation import LISTING, Call, operation
from vpc_cni.lab.cloud.query.parameters import Parameters
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import Instance, Interface, MetadataOptions

INTERFACE_PARAMETERS = (
    "DeviceIndex NetworkCardIndex NetworkInterfaceId SubnetId Description SecurityGroupId InterfaceType "
    f"DeleteOnTermination AssociatePublicIpAddress {ADDRESS_PARAMETERS}"
).split()
MAX_HOPS = 64
# Of one call; a slip of the finger must not fill the machine with namespaces.
MAX_INSTANCES = 100


def run(call: Call) -> Tree:
    """Start ``MaxCount`` equal instances; fewer, but at least ``MinCount``, when a limit of the subnet is met."""
    parameters = call.parameters
    request = _run_request(call)
    least, most = parameters.count("MinCount"), parameters.count("MaxCount")
    if not least or not most:
        raise errors.missing_parameter("MinCount" if not least else "MaxCount")
    if most > MAX_INSTANCES:
        raise errors.too_many_instances(most, MAX_INSTANCES)
    if least > most:
        raise errors.invalid_value(f"Value ({least}) for parameter minCount is invalid. Expecting at most maxCount.")
    reservation_id = call.cloud.ids.resource("r")
    started: list[Instance] = []
    for _ in range(most):
        try:
            started.append(instances.run(call.cloud, request, reservation_id=reservation_id))
        except errors.CloudApiError:
            if len(started) < least:
                _undo(call, started)
                raise
            break
    return _reservation(call.at_present(), reservation_id, started)


def terminate(call: Call) -> Tree:
    wanted = call.parameters.texts("InstanceId")
    if not wanted:
        raise errors.missing_parameter("InstanceId")
    _require_instances(wanted, [instance.instance_id for instance in call.cloud.instances.values()])
    changes: list[Tree] = []
    for instance_id in dict.fromkeys(wanted):
        before = call.cloud.instance(instance_id)
        after = instances.terminate(call.cloud, instance_id)
        changes.append(
            {
                "instanceId": instance_id,
                "currentState": state_view(after.state),
                "previousState": state_view(before.state),
            }
        )
    return {"instancesSet": changes}


def describe(call: Call) -> Tree:
    found = call.cloud.instances.values_at(call.moment)
    wanted = call.parameters.texts("InstanceId")
    if wanted:
        found = [instance for instance in found if instance.instance_id in wanted]
        _require_instances(wanted, [instance.instance_id for instance in found])
    matches = _filters(call).parse(call.parameters)
    shown, token = page(
        call.parameters, filter(matches, found), lambda instance: instance.instance_id, ids_name="InstanceId"
    )
    by_reservation: dict[str, list[Instance]] = {}
    for instance in shown:
        by_reservation.setdefault(instance.reservation_id, []).append(instance)
    return {
        "reservationSet": [_reservation(call, key, members) for key, members in by_reservation.items()],
        "nextToken": token,
    }


def modify_metadata(call: Call) -> Tree:
    instance = call.cloud.instance(call.parameters.required("InstanceId"))
    options = _metadata_options(call.parameters, instance.metadata_options)
    instance = instances.set_metadata_options(call.cloud, instance.instance_id, options)
    return {"instanceId": instance.instance_id, "instanceMetadataOptions": metadata_options_view(instance)}


def _run_request(call: Call) -> RunRequest:
    parameters = call.parameters
    options = parameters.child("MetadataOptions")
    options.allow("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint")
    kind = parameters.required("InstanceType")
    call.cloud.instance_type(kind)
    return RunRequest(
        instance_type=kind,
        interfaces=_interface_specs(call),
        image_id=parameters.required("ImageId"),
        role_name=_role_name(parameters.child("IamInstanceProfile")),
        key_name=parameters.text("KeyName"),
        client_token=parameters.text("ClientToken"),
        metadata_options=_metadata_options(options, MetadataOptions()),
        tags=tags_for(parameters, "instance", "network-interface", "volume"),
    )


def _interface_specs(call: Call) -> tuple[InterfaceSpec, ...]:
    """Read the interfaces: listed one by one, or described by parameters of the instance itself."""
    parameters = call.parameters
    listed = parameters.children("NetworkInterface")
    tags = tags_for(parameters, "network-interface", "instance", "volume")
    if listed and ("SubnetId" in parameters or "SecurityGroupId" in parameters):
        raise errors.invalid_combination(
            "Network interfaces and an instance-level subnet ID may not be specified on the same request"
        )
    if listed:
        return tuple(_interface_spec(level, tags) for level in listed)
    subnet_id = parameters.required("SubnetId")
    return (InterfaceSpec(0, replace(interface_request(parameters, subnet_id), tags=tags)),)


def _interface_spec(level: Parameters, tags: dict[str, str]) -> InterfaceSpec:
    level.allow(*INTERFACE_PARAMETERS)
    eni_id = level.text("NetworkInterfaceId")
    request = None if eni_id else replace(interface_request(level, level.required("SubnetId")), tags=tags)
    return InterfaceSpec(
        device_index=level.count("DeviceIndex", least=0),
        request=request,
        eni_id=eni_id,
        card_index=level.count("NetworkCardIndex", least=0),
        delete_on_termination=level.flag("DeleteOnTermination", default=not eni_id),
        public=level.optional_flag("AssociatePublicIpAddress"),
    )


def _metadata_options(level: Parameters, current: MetadataOptions) -> MetadataOptions:
    hops = level.integer("HttpPutResponseHopLimit")
    if hops is not None and not 1 <= hops <= MAX_HOPS:
        raise errors.invalid_value(f"Value ({hops}) for parameter HttpPutResponseHopLimit is invalid.")
    if level.text("HttpEndpoint", "enabled") != "enabled":
        raise errors.CloudApiError("UnsupportedOperation", "HttpEndpoint cannot be disabled in the lab.")
    tokens = level.text("HttpTokens")
    required = current.tokens_required if not tokens else tokens == "required"
    return MetadataOptions(hops or current.hop_limit, required)


def _role_name(profile: Parameters) -> str:
    """Return the profile's name; the lab's profiles hold the role of the same name."""
    profile.allow("Arn", "Name")
    return profile.text("Name") or profile.text("Arn").rpartition("/")[2]


def _undo(call: Call, started: list[Instance]) -> None:
    for instance in started:
        instances.terminate(call.cloud, instance.instance_id)


def _reservation(call: Call, reservation_id: str, members: list[Instance]) -> Tree:
    return {
        "reservationId": reservation_id,
        "ownerId": call.cloud.settings.account_id,
        "groupSet": [],
        "instancesSet": [instance_view(call, instance) for instance in members],
    }


def _require_instances(wanted: tuple[str, ...], found: list[str]) -> None:
    missing = [instance_id for instance_id in dict.fromkeys(wanted) if instance_id not in found]
    if missing:
        raise errors.instance_not_found(missing)


def _filters(call: Call) -> FilterTable[Instance]:
    """Source: EC2 API reference, DescribeInstances."""

    def enis(instance: Instance) -> list[Interface]:
        return call.cloud.interfaces_of(instance.instance_id, call.moment)

    return FilterTable(
        {
            "architecture": lambda instance: call.cloud.type_of(instance).architectures[:1],
            "availability-zone": lambda instance: (instance.zone,),
            "client-token": lambda instance: (instance.client_token,),
            "image-id": lambda instance: (instance.image_id,),
            "instance-id": lambda instance: (instance.instance_id,),
            "instance-state-code": lambda instance: (str(int(instance.state)),),
            "instance-state-name": lambda instance: (instance.state.label,),
            "instance-type": lambda instance: (instance.instance_type,),
            "key-name": lambda instance: (instance.key_name,),
            "network-interface.network-interface-id": lambda instance: (eni.eni_id for eni in enis(instance)),
            "network-interface.subnet-id": lambda instance: (eni.subnet_id for eni in enis(instance)),
            "owner-id": always(call.cloud.settings.account_id),
            "private-ip-address": lambda instance: (str(eni.primary) for eni in enis(instance)[:1]),
            "reservation-id": lambda instance: (instance.reservation_id,),
            "subnet-id": lambda instance: (instance.subnet_id,),
            "vpc-id": lambda instance: (instance.vpc_id,),
        },
        lambda instance: call.tags_of(instance.instance_id),
    )


OPERATIONS = (
    operation(
        "RunInstances",
        run,
        "ImageId InstanceType MinCount MaxCount SubnetId SecurityGroupId NetworkInterface KeyName ClientToken "
        "IamInstanceProfile MetadataOptions TagSpecification PrivateIpAddress Ipv6AddressCount",
    ),
    operation("TerminateInstances", terminate, "InstanceId"),
    operation("DescribeInstances", describe, f"InstanceId {LISTING}"),
    operation(
        "ModifyInstanceMetadataOptions",
        modify_metadata,
        "InstanceId HttpTokens HttpPutResponseHopLimit HttpEndpoint",
    ),
)
