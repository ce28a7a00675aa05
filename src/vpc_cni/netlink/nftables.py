"""nftables through libnftables: one transaction for each change of our table, and its text for comparison.

A context lives as long as the agent: 0.4 ms for each transaction, against 15 ms with a new context and 20 ms with
the ``nft`` program. It is bound to the namespace in which it was made. Not thread safe.
"""

import ctypes
import ctypes.util

from vpc_cni.errors import HostError, KernelError
from vpc_cni.netlink.nat import TABLE, NatPlan, render_replacement

_LIBRARY = "libnftables.so.1"
_EINVAL = 22


def load_library() -> ctypes.CDLL:
    """Load libnftables.

    Raises:
        HostError: it is not installed.
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as err:
        raise HostError(f"cannot load {_LIBRARY}: {err}", hint="install the package libnftables1") from err
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


class Nftables:
    """A libnftables context. Close it, or leave it to the end of the process.

    Raises:
        HostError: libnftables is missing or refuses to start.
    """

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        self._library = library or load_library()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise HostError("libnftables gave no context", hint="give the process CAP_NET_ADMIN")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        """Free the context. May be repeated."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, commands: str) -> str:
        """Perform commands as one transaction and return what they print.

        Raises:
            KernelError: nothing was changed; the message holds nft's own words.
        """
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        problem: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if status != 0:
            words = " ".join(problem.decode(errors="replace").split())
            raise KernelError(f"nftables refused a transaction: {words or 'no reason given'}", errno=_EINVAL)
        return output.decode(errors="replace")

    def table_text(self) -> str:
        """Return our table as nft lists it; empty when there is none."""
        try:
            return self.run(f"list table ip {TABLE}")
        except KernelError:
            return ""


class NatTable:
    """Keeps our table as a plan says.

    Whether it still is, is decided by its listing right after the last change: the kernel's own words, so no
    difference of notation can look like drift.
    """

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables
        self._commands = ""
        self._listing: str | None = None

    def apply(self, plan: NatPlan) -> None:
        """Replace the table in one transaction: no packet sees half of it.

        Raises:
            KernelError: the table is as it was.
        """
        commands = render_replacement(plan)
        self._nftables.run(commands)
        self._commands = commands
        self._listing = self._nftables.table_text()

    def is_as_applied(self) -> bool:
        """Whether nobody changed the table since ``apply``. True before the first ``apply``."""
        return self._listing is None or self._nftables.table_text() == self._listing

    def repair(self) -> bool:
        """Put the table back when it was changed; return whether it was.

        Raises:
            KernelError: the table could not be put back.
        """
        if self.is_as_applied():
            return False
        self._nftables.run(self._commands)
        self._listing = self._nftables.table_text()
        return True

    def remove(self) -> None:
        """Drop the table, for a hand-back."""
        self._nftables.run(f"add table ip {TABLE}\ndelete table ip {TABLE}\n")
        self._commands, self._listing = "", None
