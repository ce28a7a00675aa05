"""Giving a node back to the reference implementation, and taking it over from there.

Taking over: our table is in place, then the reference's chains go. Handing back: its chains are made from our settings,
``ipam.json`` is written whole, then our table goes. Every step may be repeated, and between any two of them packets
pass as before, so a kill costs nothing but a repetition.

A folder beside the journal remembers both: ``node.json`` what translates here and in which kind of iptables the
reference had its chains, ``state.json`` how far a hand-back is. An agent that finds the node handed back leaves it
alone until the reference has run here since, or ``vpc-cni node takeover`` asks for it.
"""

import enum
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

import msgspec

from vpc_cni.agent.checkpoint_file import replace_file
from vpc_cni.agent.journal_file import JournalFile, read_boot_id
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.errors import HostError, VpcCniError
from vpc_cni.ipam.checkpoint import digest, encode_checkpoint
from vpc_cni.model import MAIN_TABLE, Allocation
from vpc_cni.netlink.nat import NatPlan
from vpc_cni.netlink.nftables import NatTable, Nftables
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.xt_tables import Iptables, find_reference, remove_reference, restore_reference, used_kind

_log = logging.getLogger(__name__)
DIRECTORY = "handback"
_NODE, _STATE = "node.json", "state.json"

T = TypeVar("T")


class Phase(enum.StrEnum):
    """How far a hand-back is."""

    ASKED = "asked"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Handback:
    """A hand-back: ``iptables`` as asked for, None to decide by the node; ``checkpoint`` is the digest of the file."""

    phase: Phase
    iptables: Iptables | None = None
    checkpoint: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TakenNode:
    """What a hand-back needs to know: ``iptables`` is the kind in which the reference's chains were; None: none."""

    plan: NatPlan
    iptables: Iptables | None = None


class HandbackFiles:
    """The folder of a node.

    Args:
        run_dir: the agent's folder on tmpfs.
        backing_store: the reference's ``ipam.json``.
    """

    def __init__(self, run_dir: Path, backing_store: Path) -> None:
        self.directory = run_dir / DIRECTORY
        self.journal_path = run_dir / "journal"
        self.backing_store = backing_store

    def state(self) -> Handback | None:
        """Return how far a hand-back is; None when the node is ours."""
        return _read(self.directory / _STATE, Handback)

    def note(self, state: Handback | None) -> None:
        """Remember how far a hand-back is; None forgets it. Atomic."""
        if state is None:
            (self.directory / _STATE).unlink(missing_ok=True)
        else:
            self._write(_STATE, state)

    def node(self) -> TakenNode | None:
        """Return what the last agent that served here translated; None when none did since the node came up."""
        return _read(self.directory / _NODE, TakenNode)

    def note_node(self, node: TakenNode) -> None:
        """Remember what is translated here. Atomic."""
        if node != self.node():
            self._write(_NODE, node)

    def is_ours(self) -> bool:
        """Whether an agent may serve here: not handed back, or the reference has written its checkpoint since."""
        state = self.state()
        return state is None or (state.phase is Phase.DONE and state.checkpoint != self.checkpoint_digest())

    def checkpoint_digest(self) -> str:
        """Return the digest of the checkpoint; empty when there is none."""
        try:
            return digest(self.backing_store.read_bytes())
        except FileNotFoundError:
            return ""

    def _write(self, name: str, value: object) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.directory / name, msgspec.json.encode(value, enc_hook=str))


def take_over(files: HandbackFiles, plan: NatPlan, reach: Reach) -> None:
    """Remove the reference's chains; our table is in place. May be repeated.

    Raises:
        KernelError: some are left; both kinds of translation stand, which does no harm.
    """
    nftables = Nftables()
    found, before = find_reference(nftables), files.node()
    kind = before.iptables if before is not None else None
    if found and kind not in found:
        kind = Iptables.LEGACY if Iptables.LEGACY in found else Iptables.NFT
    # Noted first: whoever is killed after the removal must still know in which kind the chains were.
    files.note_node(TakenNode(plan, kind))
    reach(Step.TAKEOVER_NOTED)
    remove_reference(nftables, lambda: reach(Step.TAKEOVER_TABLE_CLEARED))
    if found:
        _log.info("taken over: the chains in iptables-%s are removed", " and -".join(sorted(found)))


def hand_back(files: HandbackFiles, asked: Handback, reach: Reach) -> Handback:
    """Give the node back; the agent is not at work and the caller holds its lock. May be repeated.

    Returns:
        What was done.

    Raises:
        HostError: nothing is known of this node, its journal cannot be relied on, or a file cannot be written; our
            table stands.
        KernelError: the chains could not be made; our table stands.
    """
    node = files.node()
    if node is None:
        raise HostError(
            "no agent has served on this node since it came up", hint="there is nothing to hand back; start the agent"
        )
    content = _checkpoint(files, node.plan.veth_prefix)
    nftables = Nftables()
    kind = asked.iptables or node.iptables or used_kind()
    restore_reference(nftables, node.plan, kind, lambda: reach(Step.HANDBACK_TABLE_MADE))
    # Noted first: whoever is killed after the write must not take the file for another program's.
    files.note(Handback(Phase.ASKED, kind, digest(content)))
    reach(Step.HANDBACK_CHECKPOINT_NOTED)
    if digest(content) != files.checkpoint_digest():
        _write_checkpoint(files.backing_store, content)
    reach(Step.HANDBACK_CHECKPOINT_WRITTEN)
    done = Handback(Phase.DONE, kind, digest(content))
    files.note(done)
    reach(Step.HANDBACK_NOTED)
    drop_our_table()
    reach(Step.HANDBACK_TABLE_DROPPED)
    _log.info("handed back: the chains are in iptables-%s, our table is gone", kind)
    return done


def drop_our_table() -> None:
    """Do the last step of a hand-back, which a kill may have left undone.

    The chains are not touched: nothing stands in for them any more.
    """
    NatTable(Nftables()).remove()


def try_to_hand_back(files: HandbackFiles, asked: Handback, reach: Reach) -> Handback:
    """Hand back and note how it went; what fails leaves the node ours."""
    try:
        return hand_back(files, asked, reach)
    except (OSError, VpcCniError) as err:
        _log.error("the node cannot be handed back: %s", err)
        failed = Handback(Phase.FAILED, asked.iptables, problem=str(err))
        files.note(failed)
        return failed


def _checkpoint(files: HandbackFiles, veth_prefix: str) -> bytes:
    """Return the content of ``ipam.json`` for the pods in the journal.

    Raises:
        HostError: the journal is damaged or does not know all pods of the node, or another program has written the
            file since.
    """
    journal = JournalFile(files.journal_path, read_boot_id())
    if not journal.open().is_intact:
        raise HostError("the journal is damaged", hint="start the agent once: it restores it from the kernel and EC2")
    present = files.checkpoint_digest()
    state = files.state()
    is_repeated = state is not None and state.checkpoint == present
    if present and not is_repeated and not journal.state.wrote_checkpoint(present):
        raise HostError(
            f"another program has written {files.backing_store} since our agent ran",
            hint="start the agent once, so that it takes those pods in, or remove the file if it is stale",
        )
    held = [add.intent.allocation for add in journal.state.adds.values() if add.committed is not None]
    _require_all_known(held, veth_prefix)
    return encode_checkpoint(held)


def _require_all_known(held: Iterable[Allocation], veth_prefix: str) -> None:
    """Make sure that no pod is left out: the reference would give its address to another one.

    Raises:
        HostError: the kernel has a pod of which the journal knows nothing.
    """
    known = {allocation.address for allocation in held}
    with RouteSocket.open() as host:
        links = {link.ifindex: link.name for link in host.list_links() if link.name.startswith(veth_prefix)}
        routes = host.list_routes(table=MAIN_TABLE)
    for route in routes:
        network = route.destination
        if route.oif in links and isinstance(network, IPv4Network) and network.prefixlen == network.max_prefixlen:
            if network.network_address in known:
                continue
            raise HostError(
                f"the journal does not know whose {network.network_address} is, which link {links[route.oif]} serves",
                hint="start the agent once; if it says the same again, delete the pod with this address first",
            )


def _write_checkpoint(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as err:
        raise HostError(
            f"{path} cannot be written: {err.strerror}", hint="see its folder's mode and free space"
        ) from err


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=kind, dec_hook=_from_text)
    except FileNotFoundError:
        return None
    except PermissionError as err:
        raise HostError(f"{path} cannot be read: {err.strerror}", hint="run this as root") from err
    except (OSError, msgspec.MsgspecError) as err:
        raise HostError(f"{path} cannot be read: {err}", hint="remove it and start the agent") from err


def _from_text(kind: type, value: object) -> object:
    if kind in (IPv4Address, IPv4Network):
        return kind(value)
    raise NotImplementedError(os.fspath(str(kind)))
