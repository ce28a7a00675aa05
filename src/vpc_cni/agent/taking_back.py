"""Lets EC2 take addresses and interfaces back, and knows afterwards whether it has.

EC2's descriptions lag behind its changes: right after a lost answer they may say what was true before it. So a request
whose outcome is not known is repeated until EC2 answers: the answer of a change is never late, and that what was to go
is not there (any more) is an answer too. Of a description only this is believed: what it does not list has gone.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import Any

from vpc_cni.ec2 import Ec2Client, is_outcome_unknown
from vpc_cni.errors import CloudError, NotFoundError
from vpc_cni.model import Eni

_log = logging.getLogger(__name__)

# Pauses between requests for the same, in seconds; the last one repeats.
_REPEAT_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
_LOOKS, _LOOK_SECONDS = 5, 1.0
# UnassignPrivateIpAddresses: "Some networkInterface address(es) are not assigned"; all or nothing was done.
_NOT_ASSIGNED = "InvalidParameterValue"
# DetachNetworkInterface, while an earlier request is being carried out.
_DETACHING = "IncorrectState"


class TakingBack:
    """Asks EC2 for as long as it takes. The caller keeps what is in question away from pods meanwhile.

    Args:
        in_thread: runs a blocking EC2 call in a worker thread.
    """

    def __init__(self, client: Ec2Client, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._client = client
        self._in_thread = in_thread

    async def unassign(
        self, eni_id: str, addresses: tuple[IPv4Address, ...], *, queue: asyncio.Lock, in_doubt: bool = False
    ) -> None:
        """Have addresses taken from an interface; when this returns, none of them is on it.

        Args:
            queue: the interface's; held during each request and not between them, since EC2 may be away for long. What
                others change meanwhile does no harm: an address in question that EC2 gives again stays in question.
            in_doubt: an earlier request for the same may be on its way, or done.

        Raises:
            CloudError: EC2 refused, and has all of them still.
        """
        call = functools.partial(self._client.unassign_private_ip_addresses, eni_id=eni_id, addresses=addresses)

        async def ask() -> None:
            async with queue:
                await self._in_thread(call)

        refusal = await self._ask(ask, in_doubt=in_doubt, done=(_NOT_ASSIGNED,))
        if refusal and len(addresses) > 1:  # at least one has gone, and nothing was done about the others
            left = await self._see_fewer(eni_id, addresses)
            for some in (left,) if len(left) < len(addresses) else ((address,) for address in addresses):
                if some:
                    await self.unassign(eni_id, some, queue=queue, in_doubt=True)

    async def _see_fewer(self, eni_id: str, addresses: tuple[IPv4Address, ...]) -> tuple[IPv4Address, ...]:
        """Look until EC2 describes fewer of the addresses, or for as long as it usually lags; return those left."""
        left = addresses
        for _ in range(_LOOKS):
            with contextlib.suppress(CloudError):
                described = await self._in_thread(lambda: self._client.describe_network_interfaces(ids=[eni_id]))
                listed = {address for interface in described for address in interface.addresses}
                left = tuple(address for address in addresses if address in listed)
            if len(left) < len(addresses):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return left

    async def detach(self, eni: Eni, *, in_doubt: bool = False) -> None:
        """Have an interface detached; when this returns, EC2 is doing it or has done it.

        Args:
            in_doubt: as for ``unassign``.

        Raises:
            CloudError: EC2 refused: the interface stays attached.
        """
        call = functools.partial(self._detach, eni)
        await self._ask(lambda: self._in_thread(call), in_doubt=in_doubt, done=(_DETACHING,))

    def _detach(self, eni: Eni) -> None:
        attachment_id = eni.attachment_id
        if not attachment_id:
            described = self._client.describe_network_interfaces(ids=[eni.eni_id])
            attachment_id = next((each.attachment.attachment_id for each in described if each.attachment), "")
        if attachment_id:
            self._client.detach_network_interface(attachment_id=attachment_id)

    async def _ask(self, ask: Callable[[], Awaitable[None]], *, in_doubt: bool, done: tuple[str, ...]) -> bool:
        """Ask until the outcome is certain; return whether EC2 refused because it was done already."""
        pauses = itertools.chain(_REPEAT_SECONDS, itertools.repeat(_REPEAT_SECONDS[-1]))
        while True:
            try:
                await ask()
            except NotFoundError:
                return False  # the interface is gone, and everything with it
            except CloudError as err:
                if err.code in done:
                    return True
                in_doubt = in_doubt or is_outcome_unknown(err)
                if not in_doubt:
                    raise
                pause = next(pauses)
                _log.warning("asking again in %.0f s, since what EC2 did is not known: %s", pause, err)
                await asyncio.sleep(pause)
            else:
                return False
