"""EC2 steps that a killed predecessor left open in the journal: finishes those that give something back.

What EC2 describes at start holds the effect of every step that has reached it, and comparison (``Reconciler``) takes in
what arrives later; so a growth that was cut off needs nothing. Giving back does: the predecessor's request may still
be on its way. What it names serves no pod until EC2 has been asked again and has answered.
"""

import logging
from ipaddress import IPv4Address

from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.provision import Provisioner
from vpc_cni.errors import CloudError
from vpc_cni.ipam import AddressState, EniState, ReleaseEni, UnassignAddresses
from vpc_cni.ipam.records import Ec2Intent, Ec2Operation

_log = logging.getLogger(__name__)
_ERROR = "AgentRestarted"


class UnfinishedSteps:
    """The open steps of the journal at start. Belongs to the loop.

    Args:
        ledger: its pool is filled, and the addresses of open steps are marked as going back to EC2.
    """

    def __init__(self, ledger: Ledger, provisioner: Provisioner) -> None:
        self._ledger = ledger
        self._provisioner = provisioner
        self._steps = ledger.open_steps()

    def begin(self) -> None:
        """Close ENIs for pods that may be on their way out; before the first request."""
        pool = self._ledger.pool
        for step in self._steps:
            known = set(pool.addresses_of(step.eni_id))
            if step.operation is Ec2Operation.DETACH and known and known <= set(self._leaving(step)):
                pool.set_eni_state(step.eni_id, EniState.DETACHING)

    async def finish(self) -> None:
        """Ask EC2 again for what was being given back, and close every step."""
        for step in self._steps:
            try:
                await self._give_back(step)
            except CloudError as err:
                _log.warning("%s of %s by an earlier run is not repeated: %s", step.operation, step.eni_id, err)
            self._ledger.fail(step.token, step.operation, eni_id=step.eni_id, error=_ERROR)

    async def _give_back(self, step: Ec2Intent) -> None:
        leaving = self._leaving(step)
        if self._ledger.pool.eni_state(step.eni_id) is EniState.DETACHING:
            await self._provisioner.release(ReleaseEni(step.eni_id, leaving))
        elif leaving:
            await self._provisioner.unassign(UnassignAddresses(step.eni_id, leaving))

    def _leaving(self, step: Ec2Intent) -> tuple[IPv4Address, ...]:
        pool = self._ledger.pool
        mine = set(pool.addresses_of(step.eni_id))
        return tuple(each for each in step.addresses if each in mine and pool.state(each) is AddressState.RELEASING)
