"""Spool files: DELs that the plugin recorded while the agent was away or slow.

Pure codec. One file for each sandbox key: a REQUEST frame with RELEASED_AT_MS, named by the hex SHA-256 of the key's
alias. The plugin writes a temporary file, whose name begins with a dot, and renames it: a file is whole or absent.
"""

import hashlib

from vpc_cni.errors import CallerError, CniCode
from vpc_cni.model import SandboxKey
from vpc_cni.rpc.frames import decode_frame, malformed
from vpc_cni.rpc.messages import Request, decode_request, encode_request

SPOOL_DIRECTORY = "spool"
# The plugin keeps to it when it writes, so that a flood of DELs cannot fill the tmpfs; a reader takes one at a time.
MAX_FILES = 4096
# A larger configuration is reduced by the plugin to its cniVersion and name, which identify the sandbox.
MAX_FILE_BYTES = 64 << 10


def spool_name(key: SandboxKey) -> str:
    """Return the file name for a sandbox key: 64 hex digits. Pure."""
    return hashlib.sha256(key.alias.encode()).hexdigest()


def encode_spooled(request: Request) -> bytes:
    """Encode a spool file. Pure. Raises CallerError when the request is not a recorded DEL."""
    if request.command != "DEL" or request.released_at_ms is None:
        raise malformed("only a DEL with its time belongs into the spool")
    return encode_request(request)


def decode_spooled(data: bytes) -> Request:
    """Decode a spool file; ``released_at_ms`` is set in what it returns. Pure.

    Raises:
        CallerError: too large, not a whole frame, not a DEL, or without its time.
    """
    if len(data) > MAX_FILE_BYTES:
        raise malformed(f"spool file exceeds {MAX_FILE_BYTES} bytes")
    request = decode_request(decode_frame(data))
    if request.command != "DEL" or request.released_at_ms is None:
        raise CallerError("spool file is not a recorded DEL", cni_code=CniCode.DECODING_FAILURE)
    return request
