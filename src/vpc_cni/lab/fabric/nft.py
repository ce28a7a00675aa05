"""nftables of one namespace of the lab through libnftables: one context for a lifetime, transactions as text.

A context opens its netlink socket when it is made, so one that was made inside a namespace works there for good,
whichever thread uses it later (one at a time).
"""

import ctypes
import json

from vpc_cni.errors import HostError
from vpc_cni.netlink.netns import Netns

LIBRARY = "libnftables.so.1"
OUTPUT_JSON = 1 << 4  # nftables/libnftables.h, NFT_CTX_OUTPUT_JSON


class NftSession:
    """Runs nftables commands in one namespace. Each call is one transaction: all of it or nothing."""

    def __init__(self, library: ctypes.CDLL, context: int) -> None:
        self._library = library
        self._context = context

    @classmethod
    def open(cls, netns: Netns) -> "NftSession":
        """Make a context inside a namespace.

        Raises:
            HostError: the library is missing.
        """
        library = _load()
        context = netns.run(library.nft_ctx_new, 0)
        if not context:
            raise HostError("libnftables gives no context", hint="is nf_tables in this kernel?")
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        return cls(library, context)

    def run(self, commands: str) -> str:
        """Apply commands and return what they print.

        Raises:
            HostError: refused; the message has libnftables' own words.
        """
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        words: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if status != 0:
            raise HostError(f"nftables refused: {words.decode(errors='replace').strip()} in {commands.strip()[:400]}")
        return output.decode()

    def list_counters(self, table: str) -> dict[str, int]:
        """Return the packets of each named counter of an inet table."""
        self._library.nft_ctx_output_set_flags(self._context, OUTPUT_JSON)
        try:
            listing = json.loads(self.run(f"list counters table inet {table}"))
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)
        counters = (entry["counter"] for entry in listing["nftables"] if "counter" in entry)
        return {counter["name"]: int(counter["packets"]) for counter in counters}

    def close(self) -> None:
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = 0


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as err:
        raise HostError(f"cannot load {LIBRARY}: {err}", hint="install nftables") from err
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    return library
