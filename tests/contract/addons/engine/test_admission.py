"""Webhooks of others that say no, or take no part in dry runs."""

import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from vpc_cni.addons.webhook import make_certificate
from vpc_cni.cluster.inventory import AGENT, DAEMON_SETS, Reference


class Policy(BaseHTTPRequestHandler):
    """Denies all it is asked about, or nothing."""

    protocol_version = "HTTP/1.1"
    denies = True

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], "allowed": not self.denies}
        if self.denies:
            response["status"] = {"code": 403, "message": "images must come from our registry"}
        body = json.dumps({**{key: review[key] for key in ("apiVersion", "kind")}, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


class Lenient(Policy):
    denies = False


@contextlib.contextmanager
def policy_engine(site: Any, policy: type[Policy], side_effects: str) -> Iterator[None]:
    """Run a policy engine that is asked about DaemonSets."""
    made = make_certificate(["127.0.0.1"], datetime.now(UTC))
    certificate, key = site.folder / "policy.crt", site.folder / "policy.key"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), policy)
    server.daemon_threads = True
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    bundle = base64.b64encode(made.certificate).decode()
    rule = {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["daemonsets"]}
    webhook = {
        "name": "policy.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": bundle},
        "rules": [rule],
        "failurePolicy": "Fail",
        # Dry runs come to a webhook without side effects only.
        "sideEffects": side_effects,
        "admissionReviewVersions": ["v1" if side_effects == "None" else "v1beta1"],
    }
    version = "v1" if side_effects == "None" else "v1beta1"
    file = site.folder / "policy.json"
    head = {"apiVersion": f"admissionregistration.k8s.io/{version}", "kind": "ValidatingWebhookConfiguration"}
    file.write_text(json.dumps({**head, "metadata": {"name": "policy"}, "webhooks": [webhook]}))
    site.kubectl("apply", "-f", str(file))
    try:
        yield
    finally:
        site.kubectl("delete", "-f", str(file))
        server.shutdown()
        thread.join()
        server.server_close()


def wait_until_asked(site: Any, answer: str) -> None:
    """The API server reads of new webhooks with a delay of its own."""
    for _ in range(100):
        done = site.kubectl(
            "label", "--overwrite", "ds/aws-node", "-nkube-system", "a=b", "--dry-run=server", check=False
        )
        if answer in done.stderr:
            return
        time.sleep(0.1)
    pytest.fail("the API server does not ask the policy engine")


def test_a_denied_object_is_an_issue_and_nothing_is_applied(site: Any) -> None:
    site.create()
    before = site.daemon_set()["metadata"]["resourceVersion"]
    with policy_engine(site, Policy, "None"):
        wait_until_asked(site, "denied the request")
        (issue,) = site.update("OVERWRITE", version="v1.15.1-eksbuild.1").issues
        assert issue.code == "AdmissionRequestDenied"
        assert (
            issue.message
            == 'admission webhook "policy.example.com" denied the request: images must come from our registry'
        )
        assert site.daemon_set()["metadata"]["resourceVersion"] == before


def test_without_dry_runs_conflicts_are_told_all_the_same(site: Any) -> None:
    site.create()
    site.set_env("AWS_VPC_K8S_CNI_EXTERNALSNAT=true")
    with policy_engine(site, Lenient, "Some"):
        wait_until_asked(site, "does not support dry run")
        (issue,) = site.update("NONE", version="v1.15.1-eksbuild.1").issues
        assert issue.message.count("\n") == 1
        assert issue.message.endswith('env[name="AWS_VPC_K8S_CNI_EXTERNALSNAT"].value')
        assert site.update("PRESERVE", version="v1.15.1-eksbuild.1").issues == ()
    assert site.env("AWS_VPC_K8S_CNI_EXTERNALSNAT")["value"] == "true"
    live = site.api.get(Reference(DAEMON_SETS, AGENT))
    assert live["metadata"]["labels"]["app.kubernetes.io/version"] == "v1.15.1"


def test_what_is_denied_in_the_middle_is_an_issue_and_the_next_update_ends_it(site: Any) -> None:
    """A webhook without dry runs says no only when objects before it were applied."""
    site.create()
    with policy_engine(site, Policy, "Some"):
        wait_until_asked(site, "does not support dry run")
        done = site.update("NONE", version="v1.15.1-eksbuild.1")
        assert [each.code for each in done.issues] == ["AdmissionRequestDenied"]
        assert site.daemon_set()["metadata"]["labels"]["app.kubernetes.io/version"] == "v1.16.2"
    wait_until_not_asked(site)
    assert site.update("NONE", version="v1.15.1-eksbuild.1").issues == ()
    assert site.daemon_set()["metadata"]["labels"]["app.kubernetes.io/version"] == "v1.15.1"


def wait_until_not_asked(site: Any) -> None:
    for _ in range(100):
        words = ("label", "--overwrite", "ds/aws-node", "-nkube-system", "a=b", "--dry-run=server")
        if site.kubectl(*words, check=False).returncode == 0:
            return
        time.sleep(0.1)
    pytest.fail("the API server still asks the policy engine")
