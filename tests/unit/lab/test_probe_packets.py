"""ICMP by hand: what is sent, and which answers count."""

from vpc_cni.lab.check.probes import encode_echo, internet_checksum, is_echo_reply

IP_HEADER = bytes([0x45]) + bytes(19)


def test_the_checksum_of_a_packet_with_its_checksum_is_zero():
    assert internet_checksum(encode_echo(7, 1, b"odd")) == 0


def test_the_checksum_follows_the_rfcs_example():
    # RFC 1071, section 3: the sum is ddf2, its complement 220d.
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D


def test_only_the_answer_to_our_own_request_counts():
    request = encode_echo(7, 1, b"")
    reply = IP_HEADER + b"\x00" + request[1:]
    assert is_echo_reply(reply, 7)
    assert not is_echo_reply(reply, 8)
    assert not is_echo_reply(IP_HEADER + request, 7)
    assert not is_echo_reply(IP_HEADER + b"\x00", 7)
