"""The reference's chains in either kind of iptables: found, removed, and made again.

Order is the caller's: our table stands before its chains go, and its chains stand before our table goes. While both
stand nothing is done twice: of all nat chains at one hook the first that maps a connection ends the list, and marks
are or-ed.
"""

import enum
import errno
from collections.abc import Callable
from pathlib import Path

from vpc_cni.errors import KernelError
from vpc_cni.netlink.nat import NatPlan
from vpc_cni.netlink.nftables import Nftables
from vpc_cni.netlink.xt_legacy import LegacyTables, with_rules, without_reference
from vpc_cni.netlink.xt_nft import NftCompat
from vpc_cni.netlink.xt_rules import MANGLE, NAT, XtRule, reference_rules

# To ask the kernel for a legacy table is to make it, and with it hooks that every packet passes.
_LEGACY_NAMES = Path("/proc/thread-self/net/ip_tables_names")
_ATTEMPTS = 10

OnChange = Callable[[], None]


def _ignore() -> None:
    """Do nothing."""


class Iptables(enum.StrEnum):
    """The two kinds of iptables."""

    LEGACY = "legacy"
    NFT = "nft"


def used_kind() -> Iptables:
    """Return which kind this node's other programs use: legacy where its nat table is there, else nft."""
    return Iptables.LEGACY if NAT in _legacy_names() else Iptables.NFT


def find_reference(nftables: Nftables) -> frozenset[Iptables]:
    """Return in which kinds there is anything of the reference; changes nothing.

    Raises:
        KernelError: the tables cannot be read.
    """
    found = set()
    tables = LegacyTables()
    try:
        present = [tables.read(name) for name in (NAT, MANGLE) if name in _legacy_names()]
    finally:
        tables.close()
    if any(table is not None and without_reference(table) != table for table in present):
        found.add(Iptables.LEGACY)
    compat = NftCompat(nftables)
    try:
        if compat.has_reference():
            found.add(Iptables.NFT)
    finally:
        compat.close()
    return frozenset(found)


def remove_reference(nftables: Nftables, on_change: OnChange = _ignore) -> None:
    """Remove the reference's chains and rules. May be repeated.

    Args:
        on_change: called after each change of the kernel: a table of iptables-legacy, or all of iptables-nft.

    Raises:
        KernelError: a table could not be changed; those before it are changed.
    """
    present = _legacy_names()
    for name in (NAT, MANGLE):
        if name in present and _change_legacy(name, ()):
            on_change()
    compat = NftCompat(nftables)
    try:
        if compat.remove_reference():
            on_change()
    finally:
        compat.close()


def restore_reference(nftables: Nftables, plan: NatPlan, kind: Iptables, on_change: OnChange = _ignore) -> None:
    """Make the reference's chains as it would for these settings, in place of any that are there. May be repeated.

    Args:
        on_change: called after each change of the kernel: a table of iptables-legacy; of iptables-nft those that were
            there gone, and all rules made.

    Raises:
        KernelError: a table could not be changed.
    """
    rules = reference_rules(plan)
    if kind is Iptables.LEGACY:
        for name, wanted in rules.items():
            _change_legacy(name, wanted)
            on_change()
        return
    compat = NftCompat(nftables)
    try:
        compat.remove_reference()
        on_change()
        compat.restore(rules)
        on_change()
    finally:
        compat.close()


def _change_legacy(name: str, wanted: tuple[XtRule, ...]) -> bool:
    """Have exactly these of the reference's rules in a table; return whether it was changed."""
    tables = LegacyTables()
    try:
        for attempt in range(_ATTEMPTS):
            table = tables.read(name)
            if table is None:
                raise KernelError(f"the kernel has no table {name} of iptables-legacy", errno=errno.ENOPROTOOPT)
            changed = with_rules(without_reference(table), wanted)
            if changed == table:
                return False
            try:
                tables.write(changed)
                return True
            except KernelError as err:
                # Another program changed the table in between.
                if err.errno != errno.EAGAIN or attempt == _ATTEMPTS - 1:
                    raise
        return False
    finally:
        tables.close()


def _legacy_names() -> frozenset[str]:
    try:
        return frozenset(_LEGACY_NAMES.read_text().split())
    except FileNotFoundError:
        return frozenset()
