"""Lines of the control socket."""

import pytest

from vpc_cni.errors import CallerError, CapacityError, HostError, KernelError, Shortage
from vpc_cni.lab.control.wire import (
    Request,
    decode_error,
    encode_error,
    encode_request,
    parse_line,
    parse_request,
)
from vpc_cni.lab.runtime import PluginError


def test_a_request_survives_the_wire():
    request = Request("pod_add", {"count": 2, "node": None})
    assert parse_request(encode_request(request)) == request


@pytest.mark.parametrize("line", [b"", b"x\n", b"[]\n", b"{}\n", b'{"op": 1}\n', b'{"op": "a", "args": []}\n'])
def test_what_is_no_request_is_refused(line):
    with pytest.raises(CallerError):
        parse_request(line)


@pytest.mark.parametrize(
    ("error", "arrives_as"),
    [
        (CallerError("m", hint="h"), CallerError),
        (HostError("m", hint="h"), HostError),
        (KernelError("m", errno=1, hint="h"), HostError),
        (CapacityError("m", shortage=Shortage.SUBNET_FULL, hint="h"), HostError),
    ],
)
def test_an_error_keeps_words_and_kind(error, arrives_as):
    document = parse_line(encode_error(error))["error"]
    arrived = decode_error(document)
    assert type(arrived) is arrives_as
    assert (arrived.message, arrived.hint) == ("m", "h")


def test_a_plugins_error_says_plugin_command_and_code():
    error = PluginError("no address", plugin="aws-cni", command="ADD", code=11, details="try later")
    arrived = decode_error(parse_line(encode_error(error))["error"])
    assert str(arrived) == "aws-cni ADD failed with code 11: no address: try later"
    assert error.retryable
