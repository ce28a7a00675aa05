"""Carries out what a pool plan says: each action of the planner against EC2, the node's links and the pool.

One queue for each ENI (an asyncio lock, first come first served): a slow detach of one ENI never delays growth of
another, and two changes of one ENI never overlap. EC2 is asked from worker threads; pool, journal and links are
touched on the loop only.

Every change at EC2 is journalled before (intent) and after (outcome): a successor of a killed agent knows what may
have happened and reads the truth from EC2 before it acts.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import functools
import itertools
import logging
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Protocol, TypeVar

from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.agent.taking_back import TakingBack
from vpc_cni.ec2 import Attachment, Ec2Client, NetworkInterface, is_outcome_unknown
from vpc_cni.errors import CloudError, KernelError
from vpc_cni.ipam import AssignAddresses, CreateEni, EniState, Growth, ReleaseEni, UnassignAddresses
from vpc_cni.ipam.ownership import CLUSTER_TAG, CREATED_AT_TAG, DESCRIPTION_PREFIX, INSTANCE_ID_TAG
from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.ipam.sync import DISTRUST_SECONDS
from vpc_cni.model import Eni

_log = logging.getLogger(__name__)

OWNER_TAG = "eks:eni:owner"
OWNER = "amazon-vpc-cni"

# How long a detached interface may stay "in-use" before we stop waiting; EC2 forces nothing within this time.
_DETACH_SECONDS = 240.0
_DETACH_POLL_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

# An ENI without a working link: closed to pods, to be tried again.
CLOSED = frozenset((EniState.ATTACHING, EniState.DRAINING))

T = TypeVar("T")


class EniLinks(Protocol):
    """What this module needs of the data plane: the link side of an ENI."""

    async def set_up(self, eni: Eni) -> None:
        """Wait for the ENI's link, then configure link and routing table. May be repeated."""

    def tear_down(self, eni: Eni) -> None:
        """Remove the ENI's routing table. May be repeated."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Facts about this instance that EC2 calls need."""

    instance_id: str
    vpc_id: str
    security_groups: tuple[str, ...]
    subnet_cidrs: Mapping[str, IPv4Network]
    cluster_name: str = ""
    extra_tags: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def eni_tags(self) -> dict[str, str]:
        """Tags that make an ENI ours, for leak clean-up and for the reference."""
        cluster = {CLUSTER_TAG: self.cluster_name} if self.cluster_name else {}
        return {**self.extra_tags, INSTANCE_ID_TAG: self.instance_id, OWNER_TAG: OWNER, **cluster}


class Provisioner:
    """Performs planner actions.

    Args:
        in_thread: runs a blocking EC2 call in a worker thread.
        clock: CLOCK_BOOTTIME seconds.
        on_addresses: called on the loop when the pool has gained addresses.
    """

    def __init__(
        self,
        *,
        client: Ec2Client,
        ledger: Ledger,
        links: EniLinks,
        facts: NodeFacts,
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        clock: Callable[[], float],
        reach: Reach,
        on_addresses: Callable[[], None],
    ) -> None:
        self._client = client
        self._taking_back = TakingBack(client, in_thread)
        self._ledger = ledger
        self._links = links
        self._facts = facts
        self._in_thread = in_thread
        self._clock = clock
        self._reach = reach
        self._on_addresses = on_addresses
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.in_hand: set[str] = set()
        """ENIs that are being created, attached or deleted now: nobody else may adopt or delete them."""
        self._creations = 0

    @property
    def is_creating(self) -> bool:
        """Whether an ENI is being created whose id may not be known yet."""
        return self._creations > 0

    async def _ec2(self, call: Callable[[], T]) -> T:
        result: T = await self._in_thread(call)
        return result

    async def _journalled(self, token: str, operation: Ec2Operation, eni_id: str, call: Callable[[], T]) -> T:
        """Ask EC2; a refusal closes the step in the journal, a lost answer leaves it open for whoever reads back."""
        try:
            return await self._ec2(call)
        except CloudError as err:
            if is_outcome_unknown(err):
                self._ledger.remember_unanswered(token, self._clock())
            else:
                self._ledger.fail(token, operation, eni_id=eni_id, error=err.code)
            raise

    # -- growth ---------------------------------------------------------------------------------------------------

    def begin_create(self, action: CreateEni) -> Growth:
        """Count the addresses of a new ENI as coming; call before the first await of :meth:`create`."""
        growth = Growth(uuid.uuid4().hex, action.count, device_number=action.device_number)
        self._ledger.pool.start_growth(growth)
        return growth

    def begin_assign(self, action: AssignAddresses) -> Growth:
        """Count addresses that an ENI is about to get as coming."""
        growth = Growth(uuid.uuid4().hex, action.count, eni_id=action.eni_id)
        self._ledger.pool.start_growth(growth)
        return growth

    async def create(self, action: CreateEni, growth: Growth) -> None:
        """Create an ENI with its addresses, attach it, set its link up and open it for pods.

        Raises:
            CloudError: EC2 refused; whatever was created is deleted again, now or by the next clean-up.
            KernelError: the link did not appear or could not be configured; the ENI stays, not open for pods.
        """
        self._creations += 1
        try:
            eni = await self._create_attached(action, growth.token)
            self._ledger.pool.add_eni(eni, self._clock(), state=EniState.ATTACHING)
        finally:
            self._creations -= 1
            self._ledger.pool.finish_growth(growth.token)
        async with self._queues[eni.eni_id]:
            protect = asyncio.ensure_future(self.protect(eni))
            try:
                await self.open_eni(eni)
            finally:
                await protect

    async def open_eni(self, eni: Eni) -> None:
        """Set the link of an attached ENI up and let pods have its addresses. May be repeated.

        Raises:
            KernelError: the link did not appear or could not be configured; the ENI stays closed to pods.
        """
        pool = self._ledger.pool
        self.in_hand.add(eni.eni_id)
        try:
            await self._links.set_up(eni)
        except KernelError:
            # What attaches counts as coming; this does not come by itself, so growth must look elsewhere.
            if pool.eni_state(eni.eni_id) is EniState.ATTACHING:
                pool.set_eni_state(eni.eni_id, EniState.DRAINING)
            raise
        finally:
            self.in_hand.discard(eni.eni_id)
        self._reach(Step.LINK_SET_UP)
        if pool.eni_state(eni.eni_id) in CLOSED:
            pool.set_eni_state(eni.eni_id, EniState.READY)
        self._on_addresses()

    async def _create_attached(self, action: CreateEni, token: str) -> Eni:
        self._ledger.intend(
            Ec2Operation.CREATE,
            token=token,
            count=action.count,
            subnet_id=action.subnet_id,
            device_number=action.device_number,
        )
        self._reach(Step.CREATE_INTENT_WRITTEN)
        created = await self._journalled(token, Ec2Operation.CREATE, "", lambda: self._create_call(action, token))
        self._reach(Step.CREATED)
        self._ledger.conclude(token, Ec2Operation.CREATE, eni_id=created.eni_id)
        self._reach(Step.CREATE_OUTCOME_WRITTEN)
        self.in_hand.add(created.eni_id)
        try:
            attachment = await self._attach(created.eni_id, action.device_number)
        except CloudError:
            await self._discard(created.eni_id)
            raise
        finally:
            self.in_hand.discard(created.eni_id)
        attached = dataclasses.replace(created, attachment=attachment)
        return attached.as_eni(self._facts.subnet_cidrs[created.subnet_id])

    def _create_call(self, action: CreateEni, token: str) -> NetworkInterface:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return self._client.create_network_interface(
            subnet_id=action.subnet_id,
            security_groups=self._facts.security_groups,
            description=DESCRIPTION_PREFIX + self._facts.instance_id,
            tags={**self._facts.eni_tags(), CREATED_AT_TAG: now},
            secondary_address_count=action.count,
            client_token=token,
        )

    async def _attach(self, eni_id: str, device_number: int) -> Attachment:
        """Attach at the hinted device number, or, when someone took it, at the lowest one that EC2 says is free."""
        instance_id = self._facts.instance_id

        def attach(number: int) -> Attachment:
            attachment_id = self._client.attach_network_interface(
                eni_id=eni_id, instance_id=instance_id, device_number=number
            )
            return Attachment(attachment_id, instance_id, number)

        token = self._ledger.intend(Ec2Operation.ATTACH, eni_id=eni_id, device_number=device_number)
        self._reach(Step.ATTACH_INTENT_WRITTEN)
        try:
            attachment = await self._ec2(lambda: attach(device_number))
        except CloudError as err:
            if err.code != "InvalidParameterValue" and not is_outcome_unknown(err):
                self._ledger.fail(token, Ec2Operation.ATTACH, eni_id=eni_id, error=err.code)
                raise
            attachment = await self._journalled(
                token, Ec2Operation.ATTACH, eni_id, lambda: self._attach_where_free(eni_id, attach)
            )
        self._reach(Step.ATTACHED)
        self._ledger.conclude(token, Ec2Operation.ATTACH, eni_id=eni_id)
        self._reach(Step.ATTACH_OUTCOME_WRITTEN)
        return attachment

    def _attach_where_free(self, eni_id: str, attach: Callable[[int], Attachment]) -> Attachment:
        instance = self._client.describe_instance(instance_id=self._facts.instance_id)
        for interface in instance.network_interfaces:
            if interface.eni_id == eni_id and interface.attachment is not None:
                return interface.attachment  # the lost answer was a success
        taken = instance.device_numbers()
        return attach(next(number for number in range(100) if number not in taken))

    async def protect(self, eni: Eni) -> None:
        """Let EC2 delete the ENI with its instance. A failure is reported; clean-up catches what leaks."""
        try:
            await self._ec2(
                lambda: self._client.set_delete_on_termination(eni_id=eni.eni_id, attachment_id=eni.attachment_id)
            )
            self._reach(Step.DELETE_ON_TERMINATION_SET)
        except CloudError as err:
            _log.warning("%s will outlive its instance: %s", eni.eni_id, err)

    async def _discard(self, eni_id: str) -> None:
        """Delete an ENI that could not be attached."""
        with contextlib.suppress(CloudError):
            await self.delete_eni(eni_id)

    async def delete_eni(self, eni_id: str) -> None:
        """Delete a detached ENI."""
        token = self._ledger.intend(Ec2Operation.DELETE, eni_id=eni_id)
        await self._journalled(
            token, Ec2Operation.DELETE, eni_id, lambda: self._client.delete_network_interface(eni_id=eni_id)
        )
        self._reach(Step.DELETED)
        self._ledger.conclude(token, Ec2Operation.DELETE, eni_id=eni_id)
        self._reach(Step.DELETE_OUTCOME_WRITTEN)

    async def assign(self, action: AssignAddresses, growth: Growth) -> None:
        """Ask EC2 for more addresses on an ENI and open them for pods.

        Raises:
            CloudError: EC2 refused, or its answer was lost; the latter was read back first.
        """
        eni_id = action.eni_id
        try:
            async with self._queues[eni_id]:
                self._ledger.intend(Ec2Operation.ASSIGN, token=growth.token, eni_id=eni_id, count=action.count)
                self._reach(Step.ASSIGN_INTENT_WRITTEN)
                try:
                    added = await self._journalled(
                        growth.token,
                        Ec2Operation.ASSIGN,
                        eni_id,
                        lambda: self._client.assign_private_ip_addresses(eni_id=eni_id, count=action.count),
                    )
                except CloudError as err:
                    # The limit error means that EC2 knows addresses that we do not: adopt them.
                    if is_outcome_unknown(err) or err.code == "PrivateIpAddressLimitExceeded":
                        await self.read_back(eni_id)
                        self._ledger.fail(growth.token, Ec2Operation.ASSIGN, eni_id=eni_id, error=err.code)
                    raise
                self._reach(Step.ADDRESSES_ASSIGNED)
                self._ledger.conclude(growth.token, Ec2Operation.ASSIGN, eni_id=eni_id, addresses=added)
                self._reach(Step.ASSIGN_OUTCOME_WRITTEN)
                self._ledger.pool.add_addresses(eni_id, added, self._clock())
        finally:
            self._ledger.pool.finish_growth(growth.token)
        self._on_addresses()

    async def read_back(self, eni_id: str) -> None:
        """Take in the addresses that EC2 gives to an ENI; used when an answer was lost. Adds, never removes.

        Not those that were given back a moment ago: EC2's descriptions lag behind.
        """
        pool = self._ledger.pool
        for interface in await self._ec2(lambda: self._client.describe_network_interfaces(ids=[eni_id])):
            now = self._clock()
            fresh = [each for each in interface.addresses if not pool.was_removed_since(each, now - DISTRUST_SECONDS)]
            pool.add_addresses(eni_id, fresh, now)
        self._on_addresses()

    async def align_security_groups(self, enis: Iterable[Eni], groups: Mapping[str, tuple[str, ...]]) -> None:
        """Give secondary ENIs the security groups of the primary one, now and for ENIs to come.

        Source: amazon-vpc-cni-k8s: ENIs follow the primary interface unless custom networking names their groups.

        Raises:
            CloudError: EC2 refused; the next comparison tries again.
        """
        wanted = next((groups.get(eni.eni_id, ()) for eni in enis if eni.is_primary), ())
        if not wanted:
            return
        self._facts = dataclasses.replace(self._facts, security_groups=wanted)
        for eni_id, present in groups.items():
            if present != wanted:
                _log.info("%s gets the security groups of the primary ENI: %s", eni_id, " ".join(wanted))
                change = functools.partial(self._client.set_security_groups, eni_id=eni_id, security_groups=wanted)
                await self._ec2(change)

    # -- shrinking ------------------------------------------------------------------------------------------------

    def begin_unassign(self, action: UnassignAddresses) -> None:
        """Take free addresses out of use before EC2 is asked to take them back."""
        self._ledger.pool.begin_release(action.addresses)

    def begin_release(self, action: ReleaseEni) -> None:
        """Close an ENI for pods before it is detached."""
        self._ledger.pool.set_eni_state(action.eni_id, EniState.DETACHING)

    async def unassign(self, action: UnassignAddresses, *, in_doubt: bool = False) -> None:
        """Give addresses back. Until EC2's answer is certain they serve nobody.

        Args:
            in_doubt: an earlier request for the same may be on its way.

        Raises:
            CloudError: EC2 refused: the addresses are free again.
        """
        eni_id, addresses = action.eni_id, action.addresses
        token = self._ledger.intend(Ec2Operation.UNASSIGN, eni_id=eni_id, addresses=addresses)
        self._reach(Step.UNASSIGN_INTENT_WRITTEN)
        try:
            queue = self._queues[eni_id]
            await self._taking_back.unassign(eni_id, addresses, queue=queue, in_doubt=in_doubt)
        except CloudError as err:
            self._ledger.fail(token, Ec2Operation.UNASSIGN, eni_id=eni_id, error=err.code)
            self._ledger.pool.cancel_release(addresses)
            raise
        self._reach(Step.ADDRESSES_UNASSIGNED)
        self._forget_addresses(token, eni_id, addresses)

    def _forget_addresses(self, token: str, eni_id: str, addresses: tuple[IPv4Address, ...]) -> None:
        self._ledger.conclude(token, Ec2Operation.UNASSIGN, eni_id=eni_id, addresses=addresses)
        self._reach(Step.UNASSIGN_OUTCOME_WRITTEN)
        self._ledger.pool.remove_addresses(addresses, self._clock())

    async def believe_listed(self, eni_id: str, addresses: Iterable[IPv4Address]) -> None:
        """Settle addresses in question by what EC2 describes, and ask it for no change.

        Those that it lists serve pods again, the others are forgotten. Only for questions so old that no description
        is older.

        Raises:
            CloudError: EC2 does not tell; all stay in question.
        """
        described = await self._ec2(lambda: self._client.describe_network_interfaces(ids=[eni_id]))
        listed = {address for interface in described for address in interface.addresses}
        in_question = frozenset(addresses)
        self._ledger.pool.cancel_release(in_question & listed)
        self._ledger.pool.remove_addresses(in_question - listed, self._clock())
        self._on_addresses()

    async def release(self, action: ReleaseEni, *, in_doubt: bool = False) -> None:
        """Detach an ENI without pods, wait until it is free, delete it.

        Args:
            in_doubt: an earlier request to detach it may be on its way.

        Raises:
            CloudError: EC2 refused to detach: the ENI is open for pods again. A failed delete leaves the ENI to the
                clean-up of leaked ENIs.
        """
        pool = self._ledger.pool
        eni = pool.eni(action.eni_id)
        if eni is None:
            return
        async with self._queues[eni.eni_id]:
            token = self._ledger.intend(
                Ec2Operation.DETACH, eni_id=eni.eni_id, addresses=action.addresses, attachment_id=eni.attachment_id
            )
            self._reach(Step.DETACH_INTENT_WRITTEN)
            try:
                await self._taking_back.detach(eni, in_doubt=in_doubt)
            except CloudError as err:
                self._ledger.fail(token, Ec2Operation.DETACH, eni_id=eni.eni_id, error=err.code)
                pool.cancel_release(action.addresses)
                pool.set_eni_state(eni.eni_id, EniState.READY)
                raise
            self._reach(Step.DETACHED)
            self._ledger.conclude(token, Ec2Operation.DETACH, eni_id=eni.eni_id)
            self._reach(Step.DETACH_OUTCOME_WRITTEN)
            self._links.tear_down(eni)
            pool.remove_eni(eni.eni_id, self._clock())
            self.in_hand.add(eni.eni_id)
            try:
                await self._delete_detached(eni.eni_id)
            finally:
                self.in_hand.discard(eni.eni_id)
        self._queues.pop(eni.eni_id, None)

    async def _delete_detached(self, eni_id: str) -> None:
        """Wait until EC2 has let go of the interface, then delete it."""
        deadline = self._clock() + _DETACH_SECONDS
        for delay in itertools.chain(_DETACH_POLL_SECONDS, itertools.repeat(_DETACH_POLL_SECONDS[-1])):
            described = await self._ec2(lambda: self._client.describe_network_interfaces(ids=[eni_id]))
            if not described or described[0].status == "available":
                await self.delete_eni(eni_id)
                return
            if self._clock() > deadline:
                _log.error("%s is still attached after %.0f s; clean-up will delete it", eni_id, _DETACH_SECONDS)
                return
            await asyncio.sleep(delay)
