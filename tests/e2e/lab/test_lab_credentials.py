"""Where agents get their credentials from, seen by the calls that EC2 and STS answer."""

import pytest

from vpc_cni.errors import CallerError
from vpc_cni.lab import Lab, LabOptions


@pytest.mark.parametrize(("source", "sts_calls"), [("instance", False), ("web-identity", True), ("container", False)])
def test_agent_serves_with_each_source_of_credentials(source: str, sts_calls: bool) -> None:
    with Lab(name=f"creds-{source}", nodes=1, credentials=source) as lab:
        pod = lab.add_pod()
        calls = lab.calls

    assert pod.address
    assert any(call.operation == "AssumeRoleWithWebIdentity" and not call.code for call in calls) is sts_calls
    assert any(call.service == "ec2" and call.role_name == "lab-node" and not call.code for call in calls)


def test_unknown_source_of_credentials_is_refused() -> None:
    with pytest.raises(CallerError, match="web-identity"):
        LabOptions(credentials="none")
