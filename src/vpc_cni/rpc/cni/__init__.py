"""What a container runtime says through the plugin: network configuration, arguments, results, errors.

Pure. Knows every supported version of the CNI specification; knows nothing of pools or the kernel.
"""

from vpc_cni.rpc.cni.config import Attachment, NetworkConfig
from vpc_cni.rpc.cni.prev_result import PrevResult, RecordedWiring, ResultAddress, ResultInterface
from vpc_cni.rpc.cni.request import CniRequest, Command, answer_version, parse_request
from vpc_cni.rpc.cni.result import add_result, encode_error, encode_success, error_object
from vpc_cni.rpc.cni.versions import NEWEST_VERSION, SUPPORTED_VERSIONS

__all__ = [
    "NEWEST_VERSION",
    "SUPPORTED_VERSIONS",
    "Attachment",
    "CniRequest",
    "Command",
    "NetworkConfig",
    "PrevResult",
    "RecordedWiring",
    "ResultAddress",
    "ResultInterface",
    "add_result",
    "answer_version",
    "encode_error",
    "encode_success",
    "error_object",
    "parse_request",
]
