"""What a predecessor was giving back to EC2, or had just given back: gives it back for certain.

What EC2 describes at start holds the effect of every step that has reached it, and comparison (``Reconciler``) takes in
what arrives later; so a growth that was cut off needs nothing. Giving back does: the predecessor's request may still
be on its way, and what it has given back long since may still be described as ours. What is in question serves no pod
until EC2 has been asked again and has answered; by an agent that must not change anything there, until descriptions
cannot be older than the question.
"""

import asyncio
import logging
from ipaddress import IPv4Address

from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.provision import Provisioner
from vpc_cni.errors import CloudError
from vpc_cni.ipam import AddressState, EniState, ReleaseEni, UnassignAddresses
from vpc_cni.ipam.pool import REMOVAL_MEMORY_SECONDS
from vpc_cni.ipam.records import Ec2Intent, Ec2Operation

_log = logging.getLogger(__name__)
_ERROR = "AgentRestarted"
# A request of the predecessor has ended by then, and descriptions show what it did.
_DESCRIBED_SECONDS = REMOVAL_MEMORY_SECONDS


class UnfinishedSteps:
    """The open steps of the journal at start, and addresses that EC2 should not list. Belongs to the loop.

    Args:
        ledger: its pool is filled, and the addresses in question are marked as going back to EC2.
        provisioning: whether EC2 may be asked to change anything.
        described_seconds: how old the question must be before a description settles it, without provisioning.
    """

    def __init__(
        self,
        ledger: Ledger,
        provisioner: Provisioner,
        *,
        provisioning: bool = True,
        described_seconds: float = _DESCRIBED_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._provisioner = provisioner
        self._provisioning = provisioning
        self._described_seconds = described_seconds
        self._steps = ledger.open_steps()
        named = {address for step in self._steps for address in step.addresses}
        self._late = {each.address for each in ledger.pool.addresses() if each.state is AddressState.RELEASING} - named

    def begin(self) -> None:
        """Close ENIs for pods that may be on their way out; before the first request."""
        pool = self._ledger.pool
        for step in self._steps:
            known = set(pool.addresses_of(step.eni_id))
            if step.operation is Ec2Operation.DETACH and known and known <= set(self._leaving(step)):
                pool.set_eni_state(step.eni_id, EniState.DETACHING)

    async def finish(self) -> None:
        """Ask EC2 again for all of it, and close every step; one that EC2 does not answer holds up no other."""
        if not self._provisioning:
            await self._read_back()
            return
        late = (self._give_back_late(eni_id) for eni_id in self._ledger.pool.eni_ids())
        await asyncio.gather(*map(self._finish_step, self._steps), *late)

    async def _read_back(self) -> None:
        """Wait until descriptions tell, and believe them. An ENI that was to go is compared with EC2 as any other."""
        await asyncio.sleep(self._described_seconds)
        pool = self._ledger.pool
        for eni_id in pool.eni_ids():
            if pool.eni_state(eni_id) is EniState.DETACHING:
                pool.set_eni_state(eni_id, EniState.DRAINING)
            in_question = [each for each in pool.addresses_of(eni_id) if pool.state(each) is AddressState.RELEASING]
            if in_question:
                try:
                    await self._provisioner.believe_listed(eni_id, in_question)
                except CloudError as err:
                    _log.warning("%d addresses of %s stay out of use: %s", len(in_question), eni_id, err)
        for step in self._steps:
            self._ledger.fail(step.token, step.operation, eni_id=step.eni_id, error=_ERROR)

    async def _finish_step(self, step: Ec2Intent) -> None:
        try:
            await self._give_back(step)
        except CloudError as err:
            _log.warning("%s of %s by an earlier run is not finished: %s", step.operation, step.eni_id, err)
        self._ledger.fail(step.token, step.operation, eni_id=step.eni_id, error=_ERROR)

    async def _give_back_late(self, eni_id: str) -> None:
        addresses = tuple(each for each in self._ledger.pool.addresses_of(eni_id) if each in self._late)
        if addresses:
            await self._provisioner.unassign(UnassignAddresses(eni_id, addresses), in_doubt=True)

    async def _give_back(self, step: Ec2Intent) -> None:
        leaving = self._leaving(step)
        if self._ledger.pool.eni_state(step.eni_id) is EniState.DETACHING:
            await self._provisioner.release(ReleaseEni(step.eni_id, leaving), in_doubt=True)
        elif leaving:
            await self._provisioner.unassign(UnassignAddresses(step.eni_id, leaving), in_doubt=True)

    def _leaving(self, step: Ec2Intent) -> tuple[IPv4Address, ...]:
        pool = self._ledger.pool
        mine = set(pool.addresses_of(step.eni_id))
        return tuple(each for each in step.addresses if each in mine and pool.state(each) is AddressState.RELEASING)
