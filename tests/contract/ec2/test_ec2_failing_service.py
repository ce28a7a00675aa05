"""The client against a service that fails in every way a service can, over real sockets."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vpc_cni.ec2 import CallKind, is_outcome_unknown
from vpc_cni.ec2.failures import MALFORMED, OUTCOME_UNKNOWN, UNREACHABLE
from vpc_cni.errors import AccessDeniedError, CloudError, NotFoundError, ThrottledError

ASSIGNED = (
    "<R><assignedPrivateIpAddressesSet><item><privateIpAddress>10.0.0.9</privateIpAddress></item>"
    "</assignedPrivateIpAddressesSet></R>"
)
CREATED = "<R><networkInterface><networkInterfaceId>eni-1</networkInterfaceId></networkInterface></R>"


def create(client):
    return client.create_network_interface(subnet_id="subnet-1", security_groups=["sg-1"], description="d", tags={})


def test_throttled_calls_are_repeated_and_slow_the_budget(server, connect, say, ledger):
    server.steps = [say.error("RequestLimitExceeded", 503), say.error("RequestLimitExceeded", 503)]
    server.otherwise = say.answer(200, ASSIGNED)
    access = connect()
    before = access.budget.bucket(CallKind.MUTATING).rate
    assert access.client.assign_private_ip_addresses(eni_id="eni-1", count=1) == (IPv4Address("10.0.0.9"),)
    assert access.budget.bucket(CallKind.MUTATING).rate < before * 0.6
    assert access.budget.bucket(CallKind.READING).rate == 20.0
    assert ledger.throttles == ["AssignPrivateIpAddresses"] * 2
    assert [outcome for _, outcome in ledger.calls] == ["RequestLimitExceeded", "RequestLimitExceeded", "ok"]


def test_throttling_without_end_is_reported_as_such(server, connect, say):
    server.otherwise = say.error("RequestLimitExceeded", 503)
    with pytest.raises(ThrottledError) as caught:
        connect().client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    assert caught.value.code == "RequestLimitExceeded"
    assert len(server.received) == 6


def test_a_creation_is_repeated_under_the_same_client_token(server, connect, say):
    server.steps = [say.hang_up, say.error("InternalError", 500), say.answer(200, "<html>")]
    server.otherwise = say.answer(200, CREATED)
    assert create(connect().client).eni_id == "eni-1"
    tokens = {request.form["ClientToken"] for request in server.received}
    assert len(server.received) == 4
    assert len(tokens) == 1


def test_two_creations_have_two_client_tokens(server, connect, say):
    server.otherwise = say.answer(200, CREATED)
    client = connect().client
    create(client)
    create(client)
    assert len({request.form["ClientToken"] for request in server.received}) == 2


@pytest.mark.parametrize("failure", ["hang_up", "silence", "page", "InternalError"])
def test_an_assignment_is_never_done_twice(server, connect, say, failure):
    steps = {"page": say.answer(200, "<html>oops"), "InternalError": say.error("InternalError", 500)}
    server.steps = [steps.get(failure) or getattr(say, failure)]
    server.otherwise = say.answer(200, ASSIGNED)
    with pytest.raises(CloudError) as caught:
        connect(http_timeout_seconds=0.2).client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    assert is_outcome_unknown(caught.value)
    assert len(server.received) == 1


def test_a_service_that_is_not_there_was_not_asked(connect, ledger):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    access = connect({"AWS_EC2_ENDPOINT": "http://127.0.0.1:9", **keys})
    with pytest.raises(CloudError, match=r"127\.0\.0\.1:9") as caught:
        access.client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    assert caught.value.code == UNREACHABLE
    assert caught.value.retryable
    assert not is_outcome_unknown(caught.value)
    assert ledger.calls == [("AssignPrivateIpAddresses", UNREACHABLE)] * 6


def test_silence_ends_with_the_timeout(server, connect, say, ledger):
    server.steps = [say.silence]
    assert connect(http_timeout_seconds=0.2).client.describe_subnets(ids=["subnet-1"]) == ()
    assert ledger.calls == [("DescribeSubnets", OUTCOME_UNKNOWN), ("DescribeSubnets", "ok")]


def test_a_trickling_answer_ends_with_the_deadline_of_the_call(server, connect, say, impatient):
    server.otherwise = say.trickle
    started = impatient.now()
    with pytest.raises(CloudError) as caught:
        connect(call_seconds=0.3).client.describe_subnets(ids=["subnet-1"])
    assert caught.value.code in (OUTCOME_UNKNOWN, UNREACHABLE)
    assert impatient.now() - started < 2.0


@pytest.mark.parametrize(
    "body",
    ["", "no xml", "<R><subnetSet>", '<!DOCTYPE R [<!ENTITY a "aaaa">]><R>&a;</R>', "<R>" + "<a>" * 500],
    ids=["empty", "text", "cut", "entities", "deep"],
)
def test_answers_that_cannot_be_read_are_named(server, connect, say, ledger, body):
    server.otherwise = say.answer(200, body)
    with pytest.raises(CloudError) as caught:
        connect().client.describe_subnets(ids=["subnet-1"])
    assert (caught.value.code, caught.value.operation) == (MALFORMED, "DescribeSubnets")
    assert set(ledger.calls) == {("DescribeSubnets", MALFORMED)}


def test_a_value_that_is_no_address_is_a_malformed_answer(server, connect, say):
    server.otherwise = say.answer(200, "<R><subnetSet><item><cidrBlock>10.0.0.0/99</cidrBlock></item></subnetSet></R>")
    with pytest.raises(CloudError, match="not a valid netmask") as caught:
        connect().client.describe_subnets(ids=["subnet-1"])
    assert caught.value.code == MALFORMED


def test_a_huge_answer_is_dropped_early(server, connect, say):
    pieces = b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n" + b"<R>" * 4_000_000
    server.otherwise = say.raw(pieces)
    with pytest.raises(CloudError, match="longer than 8388608 bytes") as caught:
        connect().client.describe_subnets(ids=["subnet-1"])
    assert caught.value.code == MALFORMED


def test_a_body_cut_short_is_not_taken_for_whole(server, connect, say):
    server.steps = [say.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<R/>")]
    connect().client.describe_subnets(ids=["subnet-1"])
    assert len(server.received) == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500],
    ids=["nothing", "blank", "ssh", "status", "headers"],
)
def test_what_is_no_http_is_a_lost_answer(server, connect, say, data):
    server.steps = [say.raw(data)]
    connect().client.describe_subnets(ids=["subnet-1"])
    assert len(server.received) == 2


def test_a_redirect_is_not_followed(server, connect, say):
    server.otherwise = say.answer(302, "", {"Location": "http://127.0.0.1:9/elsewhere"})
    with pytest.raises(CloudError, match="HTTP 302"):
        connect().client.describe_subnets(ids=["subnet-1"])
    assert len(server.received) == 1


def test_a_denial_is_not_repeated_and_names_the_permission(server, connect, say):
    server.otherwise = say.error("UnauthorizedOperation", 403)
    with pytest.raises(AccessDeniedError, match="allow ec2:CreateNetworkInterface"):
        create(connect().client)
    assert len(server.received) == 1


def test_an_interface_just_created_may_not_be_known_yet(server, connect, say):
    server.steps = [say.error("InvalidNetworkInterfaceID.NotFound")] * 2
    server.otherwise = say.answer(200, "<R><attachmentId>eni-attach-1</attachmentId></R>")
    attached = connect().client.attach_network_interface(eni_id="eni-1", instance_id="i-1", device_number=1)
    assert attached == "eni-attach-1"


@pytest.mark.parametrize(
    ("remove", "code"),
    [
        (lambda ec2: ec2.delete_network_interface(eni_id="eni-1"), "InvalidNetworkInterfaceID.NotFound"),
        (lambda ec2: ec2.detach_network_interface(attachment_id="a"), "InvalidAttachmentID.NotFound"),
    ],
)
def test_removing_what_is_gone_succeeds(server, connect, say, remove, code):
    server.otherwise = say.error(code)
    remove(connect().client)
    assert len(server.received) == 1


def test_interfaces_that_are_gone_are_left_out(server, connect, say):
    ids = ["eni-00000001", "eni-00000002", "eni-00000003"]
    server.steps = [
        say.error("InvalidNetworkInterfaceID.NotFound", message="The networkInterface ID 'eni-00000002' does not exist")
    ]
    server.otherwise = say.answer(200, "<R><networkInterfaceSet/></R>")
    connect().client.describe_network_interfaces(ids=ids)
    assert "NetworkInterfaceId.3" not in server.received[1].form
    assert server.received[1].form["NetworkInterfaceId.2"] == "eni-00000003"


def test_a_missing_interface_that_nobody_asked_for_ends_the_search(server, connect, say):
    server.otherwise = say.error("InvalidNetworkInterfaceID.NotFound", message="eni-99999999 does not exist")
    with pytest.raises(NotFoundError):
        connect().client.describe_network_interfaces(ids=["eni-00000001"])
    assert len(server.received) == 1


def test_pages_are_followed_to_the_end(server, connect, say):
    def page(eni_id: str, token: str) -> object:
        item = f"<item><networkInterfaceId>{eni_id}</networkInterfaceId></item>"
        return say.answer(200, f"<R><networkInterfaceSet>{item}</networkInterfaceSet>{token}</R>")

    server.steps = [page("eni-1", "<nextToken>t1</nextToken>"), page("eni-2", "<nextToken>t2</nextToken>")]
    server.otherwise = page("eni-3", "")
    found = connect().client.find_network_interfaces(filters={"status": ["available"]})
    assert [interface.eni_id for interface in found] == ["eni-1", "eni-2", "eni-3"]
    assert [request.form.get("NextToken") for request in server.received] == [None, "t1", "t2"]


def test_a_page_token_that_repeats_is_no_endless_loop(server, connect, say):
    server.otherwise = say.answer(200, "<R><nextToken>t</nextToken></R>")
    with pytest.raises(CloudError, match="token repeats"):
        list(connect().client.find_network_interfaces(filters={"status": ["available"]}))
    assert len(server.received) == 2


def test_many_instances_are_asked_for_in_allowed_filters(server, connect):
    connect().client.describe_instances(ids=[f"i-{number}" for number in range(450)])
    sizes = [sum(name.startswith("Filter.1.Value.") for name in request.form) for request in server.received]
    assert sizes == [200, 200, 50]


def test_connections_are_kept(server, connect):
    client = connect().client
    for _ in range(20):
        client.describe_subnets(ids=["subnet-1"])
    assert server.connections == 1


def test_a_kept_connection_that_the_service_closed_is_replaced(server, connect, say):
    client = connect().client
    server.steps = [say.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<R/>")]
    client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    server.wait_until_all_closed()
    client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    assert len(server.received) == 2


def test_threads_share_a_client(server, connect):
    client = connect().client
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: client.describe_subnets(ids=["subnet-1"]), range(80)))
    assert server.actions() == ["DescribeSubnets"] * 80


def test_stopping_ends_a_retry_wait_at_once(server, connect, say, impatient):
    server.otherwise = say.error("RequestLimitExceeded", 503)
    slow = replace(impatient, chance=lambda: 0.999)
    timer = threading.Timer(0.1, slow.stopping.set)
    timer.start()
    with pytest.raises(ThrottledError):
        connect(timing=slow).client.describe_subnets(ids=["subnet-1"])
    timer.join()
    assert len(server.received) == 1


def test_a_proxy_is_used_for_ec2_and_bypassed_by_no_proxy(server, connect, say):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_ENDPOINT": "http://ec2.test.invalid"}
    proxy = server.url.replace("http://", "http://user:pass@")
    connect({**keys, "HTTP_PROXY": proxy}).client.describe_subnets(ids=["subnet-1"])
    (request,) = server.received
    assert request.path == "http://ec2.test.invalid/"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    with pytest.raises(CloudError) as caught:
        connect({**keys, "HTTP_PROXY": proxy, "NO_PROXY": ".test.invalid"}).client.describe_subnets(ids=["subnet-1"])
    assert caught.value.code == UNREACHABLE
    assert len(server.received) == 1


def test_the_announced_version_is_in_the_user_agent(server, connect):
    connect(announced_version="v1.16.2").client.describe_subnets(ids=["subnet-1"])
    assert server.received[0].headers["user-agent"] == "vpc-cni/v1.16.2"
