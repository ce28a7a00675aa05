"""TLS: a certificate is checked, by botocore's bundle or by the one that AWS_CA_BUNDLE names."""

import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from vpc_cni.ec2.failures import UNREACHABLE
from vpc_cni.errors import CloudError, ConfigurationError

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"<R/>")

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    name = ["-addext", "subjectAltName=DNS:localhost"]
    command = [openssl, *words.split(), *name, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


@pytest.fixture
def tls_port(certificate):
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_bundle_of_the_operator_is_trusted(connect, certificate, tls_port):
    environ = {**KEYS, "AWS_EC2_ENDPOINT": f"https://localhost:{tls_port}", "AWS_CA_BUNDLE": str(certificate[1])}
    assert connect(environ).client.describe_subnets(ids=["subnet-1"]) == ()


def test_an_unknown_certificate_is_refused_before_anything_is_sent(connect, tls_port):
    environ = {**KEYS, "AWS_EC2_ENDPOINT": f"https://localhost:{tls_port}"}
    with pytest.raises(CloudError, match="certificate verify failed") as caught:
        connect(environ).client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    assert caught.value.code == UNREACHABLE


def test_a_certificate_for_another_name_is_refused(connect, certificate, tls_port):
    environ = {**KEYS, "AWS_EC2_ENDPOINT": f"https://127.0.0.1:{tls_port}", "AWS_CA_BUNDLE": str(certificate[1])}
    with pytest.raises(CloudError, match="certificate verify failed"):
        connect(environ).client.describe_subnets(ids=["subnet-1"])


def test_a_bundle_that_is_missing_is_the_operators_mistake(connect, tls_port):
    environ = {**KEYS, "AWS_EC2_ENDPOINT": f"https://localhost:{tls_port}", "AWS_CA_BUNDLE": "/nowhere.pem"}
    with pytest.raises(ConfigurationError, match="AWS_CA_BUNDLE=/nowhere"):
        connect(environ).client.describe_subnets(ids=["subnet-1"])
