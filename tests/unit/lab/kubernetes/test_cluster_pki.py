"""Certificates of a cluster: who they name, and that its own authority vouches for them."""

import datetime
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vpc_cni.lab.kubernetes.pki import Authority, KeyPair, Subject

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def issued(subject: Subject) -> tuple[x509.Certificate, x509.Certificate]:
    authority = Authority(NOW)
    return read(authority.issue(subject)), read(authority.pair)


def read(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_the_authority_vouches_for_a_certificate_at_the_time_of_its_making() -> None:
    certificate, authority = issued(Subject("system:node:node-1", "system:nodes"))
    certificate.verify_directly_issued_by(authority)
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


def test_kubernetes_reads_user_and_group_from_the_name() -> None:
    certificate, _ = issued(Subject("system:node:node-1", "system:nodes"))
    names = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert names == {NameOID.COMMON_NAME: "system:node:node-1", NameOID.ORGANIZATION_NAME: "system:nodes"}


def usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_only_who_has_an_address_may_serve() -> None:
    client, _ = issued(Subject("admin"))
    server, _ = issued(Subject("api", dns_names=("kubernetes",), addresses=(IPv4Address("10.0.0.9"),)))
    assert usages(client) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages(server)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("10.0.0.9")]
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes"]
