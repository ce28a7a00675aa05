"""Instances: started with their interfaces, terminated with those that go with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from vpc_cni.lab.cloud import errors, interfaces, tags
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.events import InstanceStarted, InstanceTerminated
from vpc_cni.lab.cloud.interfaces import InterfaceRequest
from vpc_cni.lab.cloud.records import DEFAULT_METADATA_OPTIONS, Instance, InstanceState, Interface, MetadataOptions

# EC2 shows a terminated instance for about an hour.
TERMINATED_VISIBLE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class InterfaceSpec:
    """An interface that an instance starts with: a new one (``request``) or an existing one (``eni_id``)."""

    device_index: int
    request: InterfaceRequest | None = None
    eni_id: str = ""
    card_index: int = 0
    delete_on_termination: bool = True
    public: bool | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One instance to start. ``interfaces`` must hold device 0 of card 0; see ``simple_request`` for the usual case."""

    instance_type: str
    interfaces: tuple[InterfaceSpec, ...]
    image_id: str = "ami-0123456789abcdef0"
    role_name: str = ""
    key_name: str = ""
    client_token: str = ""
    metadata_options: MetadataOptions = DEFAULT_METADATA_OPTIONS
    tags: Mapping[str, str] = field(default_factory=dict)


def simple_request(
    subnet_id: str,
    instance_type: str,
    *,
    groups: tuple[str, ...] = (),
    role_name: str = "",
    metadata_options: MetadataOptions = DEFAULT_METADATA_OPTIONS,
    given: Mapping[str, str] | None = None,
) -> RunRequest:
    """Describe an instance with one new interface in ``subnet_id``. Pure."""
    primary = InterfaceSpec(0, InterfaceRequest(subnet_id, groups=groups))
    return RunRequest(
        instance_type, (primary,), role_name=role_name, metadata_options=metadata_options, tags=given or {}
    )


def run(cloud: Cloud, request: RunRequest, *, reservation_id: str = "") -> Instance:
    """Start an instance; it runs at once. On failure the interfaces made for it are gone again."""
    cloud.instance_type(request.instance_type)
    tags.check(request.tags)
    made: list[Interface] = []
    try:
        enis = [_interface_for(cloud, spec, made) for spec in request.interfaces]
        primary = _primary_of(request, enis)
        # After the interfaces were made, so that the instance has them from its first moment on.
        now = cloud.now()
        instance = _new_instance(cloud, request, primary, reservation_id, now)
        _check_places(cloud, instance, request, enis)
    except CloudApiError:
        for eni in made:
            interfaces.delete(cloud, eni.eni_id)
        raise
    cloud.instances.put(instance.instance_id, instance, now)
    tags.set_first(cloud, instance.instance_id, request.tags, now)
    cloud.emit(InstanceStarted(instance))
    for spec, eni in zip(request.interfaces, enis, strict=True):
        placed = _with_public(cloud, spec, eni)
        interfaces.place(
            cloud,
            placed,
            instance,
            device_index=spec.device_index,
            card_index=spec.card_index,
            delete_on_termination=spec.delete_on_termination,
            now=now,
            # An instance boots with its interfaces in place.
            seconds=0.0,
        )
    return instance


def terminate(cloud: Cloud, instance_id: str) -> Instance:
    """End an instance: interfaces marked so are deleted with it, the others become available."""
    now = cloud.now()
    instance = cloud.instance(instance_id)
    if instance.state is InstanceState.TERMINATED:
        return instance
    for eni in cloud.interfaces_of(instance_id):
        goes_too = eni.attachment is not None and eni.attachment.delete_on_termination
        interfaces.leave(cloud, eni, now, 0.0)
        if goes_too:
            interfaces.delete(cloud, eni.eni_id)
    instance = replace(instance, state=InstanceState.TERMINATED)
    cloud.instances.put(instance_id, instance, now)
    cloud.schedule(now + TERMINATED_VISIBLE_SECONDS, _forget(cloud, instance_id))
    cloud.emit(InstanceTerminated(instance))
    return instance


def set_metadata_options(cloud: Cloud, instance_id: str, options: MetadataOptions) -> Instance:
    """Change hop limit and token rules of a running instance."""
    instance = replace(cloud.instance(instance_id), metadata_options=options)
    cloud.instances.put(instance_id, instance, cloud.now())
    return instance


def private_dns_name(region: str, address: IPv4Address) -> str:
    """Return the name EC2 gives an address: ``ip-10-0-0-5.us-west-2.compute.internal``. Pure."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{str(address).replace('.', '-')}.{domain}"


def _forget(cloud: Cloud, instance_id: str) -> Callable[[float], None]:
    def forget(due: float) -> None:
        cloud.instances.drop(instance_id, due)
        tags.drop(cloud, instance_id, due)

    return forget


def _interface_for(cloud: Cloud, spec: InterfaceSpec, made: list[Interface]) -> Interface:
    """Return the ENI for a spec; one created for it is added to ``made``."""
    if spec.request is None:
        return cloud.interface(spec.eni_id)
    eni = interfaces.create(cloud, spec.request)
    made.append(eni)
    return eni


def _primary_of(request: RunRequest, enis: list[Interface]) -> Interface:
    for spec, eni in zip(request.interfaces, enis, strict=True):
        if spec.device_index == 0 and spec.card_index == 0:
            return eni
    raise errors.invalid_combination("A network interface with device index 0 must be specified")


def _new_instance(cloud: Cloud, request: RunRequest, primary: Interface, reservation_id: str, now: float) -> Instance:
    return Instance(
        instance_id=cloud.ids.resource("i"),
        instance_type=request.instance_type,
        subnet_id=primary.subnet_id,
        vpc_id=primary.vpc_id,
        zone=primary.zone,
        image_id=request.image_id,
        launched_at=now,
        reservation_id=reservation_id or cloud.ids.resource("r"),
        state=InstanceState.RUNNING,
        role_name=request.role_name,
        key_name=request.key_name,
        client_token=request.client_token,
        metadata_options=request.metadata_options,
    )


def _check_places(cloud: Cloud, instance: Instance, request: RunRequest, enis: list[Interface]) -> None:
    places = [(spec.card_index, spec.device_index) for spec in request.interfaces]
    kind = cloud.type_of(instance)
    if len(set(places)) != len(places):
        raise errors.invalid_combination("Network interface device indexes must be unique")
    if len(places) > kind.total_enis:
        raise errors.attachment_limit(len(places), kind.instance_type)
    for spec, eni in zip(request.interfaces, enis, strict=True):
        interfaces.check_place(cloud, eni, instance, spec.device_index, spec.card_index)


def _with_public(cloud: Cloud, spec: InterfaceSpec, eni: Interface) -> Interface:
    """Give the primary interface a public address when the spec or the subnet says so."""
    wanted = spec.public if spec.public is not None else cloud.subnet(eni.subnet_id).map_public
    if not wanted or spec.device_index != 0 or eni.public_address is not None:
        return eni
    taken = {other.public_address for other in cloud.interfaces.values()}
    pool = cloud.settings.public_pool
    address = next(host for host in pool.hosts() if host not in taken)
    return replace(eni, public_address=address)
