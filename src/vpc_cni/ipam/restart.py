"""From the outcome of ``reconcile`` to a journal that says the same."""

from collections.abc import Iterator

from vpc_cni.ipam.journal_state import JournalState, taken_back
from vpc_cni.ipam.reconcile import Holding, Reconciliation
from vpc_cni.ipam.records import (
    AddCommitted,
    AddIntent,
    CheckpointWritten,
    Ec2Operation,
    Ec2Outcome,
    Quarantined,
    Record,
    Released,
)


def records_after_restart(outcome: Reconciliation, state: JournalState, *, taken_in: str = "") -> Iterator[Record]:
    """Yield a whole journal for what a restart has found. Pure.

    Args:
        state: the journal before: EC2 steps, loose ENIs and what was given back are carried over, for the caller to
            finish.
        taken_in: digest of another program's checkpoint that the outcome rests on. From now on the journal says all
            that the file does, and more: whoever finds that file again must not go back to it.
    """
    yield CheckpointWritten(state.previous_checkpoint_digest)
    yield CheckpointWritten(state.checkpoint_digest)
    if taken_in:
        yield CheckpointWritten(taken_in)
    for address, eni_id in state.given_back.items():  # first: whoever holds one of them by now overrules it
        yield taken_back(eni_id, address)
    for holding in outcome.holdings:
        yield AddIntent.of(holding.allocation, holding.link.name)
        yield _committed(holding, state)
    yield from (Released.of(cooling) for cooling in outcome.coolings)
    yield from (Quarantined.of(quarantine) for quarantine in outcome.quarantines)
    for eni_id, token in state.loose_enis.items():
        yield Ec2Outcome(token, Ec2Operation.CREATE, done=True, eni_id=eni_id)
    yield from state.ec2_steps.values()


def _committed(holding: Holding, state: JournalState) -> AddCommitted:
    """Keep the hardware addresses of the commit while it speaks of the same link."""
    key, ifindex = holding.allocation.key, holding.link.ifindex
    add = state.adds.get(key)
    if add is not None and add.committed is not None and add.committed.host_ifindex == ifindex:
        return add.committed
    return AddCommitted.of(key, ifindex, "", "")
