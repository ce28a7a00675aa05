"""Lags, latency, budgets, denials, injected faults and identity, as a client of the lab's EC2 meets them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from vpc_cni.lab.cloud import Bucket, Denial, InjectedError, LostAnswer, Throttle

Refused = Callable[..., tuple[str, str, int]]


def test_describe_calls_lag_behind_writes(site: Any, refused: Refused) -> None:
    site.do(lambda cloud: cloud.configure(describe_lag_seconds=60.0))
    eni_id = site.new_eni()
    assert refused(site.ec2.describe_network_interfaces, NetworkInterfaceIds=[eni_id])[0] == (
        "InvalidNetworkInterfaceID.NotFound"
    )
    # What changes the cloud sees the truth at once.
    site.attach(eni_id)
    site.do(lambda cloud: cloud.configure(describe_lag_seconds=0.0))
    assert site.eni(eni_id)["Attachment"]["Status"] == "attached"


def test_attaching_and_detaching_take_their_time(site: Any) -> None:
    site.do(lambda cloud: cloud.configure(attach_seconds=60.0, detach_seconds=60.0))
    eni_id = site.new_eni()
    attachment_id = site.attach(eni_id)
    assert (site.eni(eni_id)["Status"], site.eni(eni_id)["Attachment"]["Status"]) == ("in-use", "attaching")
    site.ec2.detach_network_interface(AttachmentId=attachment_id)
    assert site.eni(eni_id)["Attachment"]["Status"] == "detaching"
    with pytest.raises(ClientError, match="currently in use"):
        site.ec2.delete_network_interface(NetworkInterfaceId=eni_id)


def test_a_slow_call_holds_nobody_up(site: Any) -> None:
    site.do(lambda cloud: cloud.configure(latency_seconds={"DescribeVpcs": 1.0}))
    started = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(site.ec2.describe_vpcs)
        site.ec2.describe_subnets()
        assert not slow.done()
        assert slow.result()["Vpcs"]
    assert time.monotonic() - started >= 1.0


def test_calls_beyond_the_budget_are_refused_by_kind(site: Any, refused: Refused) -> None:
    number = site.do(lambda cloud: cloud.faults.add(Throttle(write=Bucket(2, 0.001))))
    arguments = {"SubnetId": site.subnet.subnet_id}
    for _ in range(2):
        site.ec2.create_network_interface(**arguments)
    assert refused(site.ec2.create_network_interface, **arguments) == (
        "RequestLimitExceeded",
        "Request limit exceeded.",
        503,
    )
    site.ec2.describe_subnets()
    site.do(lambda cloud: cloud.faults.remove(number))
    site.ec2.create_network_interface(**arguments)
    site.do(lambda cloud: cloud.configure(read_bucket=Bucket(1, 0.001)))
    site.ec2.describe_subnets()
    assert refused(site.ec2.describe_subnets)[0] == "RequestLimitExceeded"


def test_a_denied_role_is_told_which_action(site: Any, refused: Refused) -> None:
    site.do(lambda cloud: cloud.faults.add(Denial("ec2:*NetworkInterface", role="adm*")))
    site.do(lambda cloud: cloud.faults.add(Denial("ec2:DescribeSubnets", role="somebody-else")))
    site.ec2.describe_subnets()
    code, message, status = refused(site.ec2.create_network_interface, SubnetId=site.subnet.subnet_id)
    assert (code, status) == ("UnauthorizedOperation", 403)
    assert "is not authorized to perform: ec2:CreateNetworkInterface" in message
    assert "user/admin" in message
    assert len(message.rpartition("Encoded authorization failure message: ")[2]) > 100


def test_injected_errors_run_out(site: Any, refused: Refused) -> None:
    fault = InjectedError("Describe*", "Unavailable", "Try later", status=503, times=2)
    site.do(lambda cloud: cloud.faults.add(fault))
    for _ in range(2):
        assert refused(site.ec2.describe_subnets) == ("Unavailable", "Try later", 503)
    site.ec2.describe_subnets()
    assert site.do(lambda cloud: cloud.faults.active()) == {}


def test_an_error_after_the_effect_leaves_the_effect(site: Any, refused: Refused) -> None:
    fault = InjectedError("CreateNetworkInterface", "InternalError", times=1, after_effect=True)
    site.do(lambda cloud: cloud.faults.add(fault))
    arguments = {"SubnetId": site.subnet.subnet_id, "ClientToken": "t"}
    assert refused(site.ec2.create_network_interface, **arguments)[0] == "InternalError"
    assert len(site.cloud.interfaces) == 2
    site.ec2.create_network_interface(**arguments)
    assert len(site.cloud.interfaces) == 2


def test_a_lost_answer_is_a_closed_connection_and_a_done_deed(site: Any) -> None:
    site.do(lambda cloud: cloud.faults.add(LostAnswer("CreateNetworkInterface")))
    with pytest.raises(ConnectionClosedError):
        site.new_eni()
    assert len(site.cloud.interfaces) == 2
    site.new_eni()


def test_calls_are_counted_by_outcome(site: Any, refused: Refused) -> None:
    site.new_eni()
    refused(site.ec2.delete_network_interface, NetworkInterfaceId="eni-0")
    calls = site.cloud.calls
    assert calls.count("CreateNetworkInterface", "") == 1
    assert calls.count("DeleteNetworkInterface") == 1
    assert calls.count("DeleteNetworkInterface", "") == 0
    assert [call.role_name for call in calls.recent] == ["admin", "admin"]
