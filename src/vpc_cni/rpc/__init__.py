"""Frames between the plugin and the agent, and what a container runtime says in them.

``frames`` and ``messages`` are the pure codec, ``descriptors`` and ``transport`` the thin socket part, ``spool`` and
``marker`` the files beside the socket, ``client`` one exchange as the plugin does it, ``cni`` the network
configuration and the results of the CNI specification. Speaks to no kernel interface but sockets.
"""

from vpc_cni.rpc.client import exchange
from vpc_cni.rpc.descriptors import NAMESPACE, NETLINK_SOCKET, PassedDescriptors
from vpc_cni.rpc.frames import Frame, FrameBuffer, FrameType, decode_frame, encode_frame
from vpc_cni.rpc.marker import MARKER_NAME, remove_marker, write_marker
from vpc_cni.rpc.messages import (
    Progress,
    Request,
    Result,
    Tag,
    decode_answer,
    decode_request,
    encode_progress,
    encode_request,
    encode_result,
)
from vpc_cni.rpc.spool import SPOOL_DIRECTORY, decode_spooled, encode_spooled, spool_name
from vpc_cni.rpc.transport import (
    Peer,
    RequestReader,
    check_peer,
    get_peer,
    open_listener,
    receive_request,
    receive_rest,
    send_frame,
    send_now,
    wait_peer_gone,
)

__all__ = [
    "MARKER_NAME",
    "NAMESPACE",
    "NETLINK_SOCKET",
    "SPOOL_DIRECTORY",
    "Frame",
    "FrameBuffer",
    "FrameType",
    "PassedDescriptors",
    "Peer",
    "Progress",
    "Request",
    "RequestReader",
    "Result",
    "Tag",
    "check_peer",
    "decode_answer",
    "decode_frame",
    "decode_request",
    "decode_spooled",
    "encode_frame",
    "encode_progress",
    "encode_request",
    "encode_result",
    "encode_spooled",
    "exchange",
    "get_peer",
    "open_listener",
    "receive_request",
    "receive_rest",
    "remove_marker",
    "send_frame",
    "send_now",
    "spool_name",
    "wait_peer_gone",
    "write_marker",
]
