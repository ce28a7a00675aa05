import json
import logging
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from vpc_cni.agent import logs
from vpc_cni.agent.logs import JsonFormatter, configure_logging
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.observing import update_budget, update_gauges
from vpc_cni.ec2 import Budget, CallKind, Timing
from vpc_cni.ipam import Pool
from vpc_cni.model import Eni, PodIdentity, SandboxKey


def test_reference_counters_keep_their_names() -> None:
    metrics = AgentMetrics("1.2.3")
    metrics.adds.inc()
    metrics.dels.labels("PodDeleted").inc()
    lines = metrics.exposition().decode().splitlines()
    assert "# TYPE awscni_add_ip_req_count counter" in lines
    assert "awscni_add_ip_req_count 1.0" in lines
    assert 'awscni_del_ip_req_count{reason="PodDeleted"} 1.0' in lines
    assert not [line for line in lines if line.startswith("awscni") and "_total{" in line]
    assert not [line for line in lines if "_created" in line]


def test_gauges_with_total_in_their_name_are_left_alone() -> None:
    assert "awscni_total_ip_addresses 0.0" in AgentMetrics("1").exposition().decode().splitlines()


def test_addresses_of_pods_are_counted_by_eni_and_by_cidr() -> None:
    metrics, pool = AgentMetrics("1"), Pool(30.0)
    cidr = IPv4Network("10.0.0.0/16")
    for number in range(2):
        addresses = tuple(cidr[256 * number + last] for last in (10, 11))
        pool.add_eni(Eni(f"eni-{number}", f"02:00:00:00:00:0{number}", number, "subnet-0", cidr, cidr[4], addresses), 0)
    key = SandboxKey("aws-cni", "c", "eth0")
    allocation = pool.assign(key, PodIdentity(), 1.0, allocated_at_ns=0)
    assert allocation is not None

    def shown(prefix: str) -> dict[str, str]:
        update_gauges(metrics, pool, limits=None, max_eni=0, unmanaged_enis=0, waiting=0, spooled=0)
        lines = metrics.exposition().decode().splitlines()
        return dict(line.removeprefix(prefix).split(" ") for line in lines if line.startswith(prefix + "{"))

    assert shown("awscni_assigned_ip_per_cidr") == {f'{{cidr="{allocation.address}/32"}}': "1.0"}
    assert shown("awscni_assigned_ip_per_eni") == {'{eni="eni-0"}': "1.0", '{eni="eni-1"}': "0.0"}
    pool.release(key, 2.0)
    assert shown("awscni_assigned_ip_per_cidr") == {}


def test_the_budget_of_ec2_calls_is_shown() -> None:
    metrics, budget = AgentMetrics("1"), Budget(Timing(now=lambda: 100.0))

    def shown() -> dict[str, float]:
        update_budget(metrics, budget)
        lines = metrics.exposition().decode().splitlines()
        samples = (line.split(" ") for line in lines if line.startswith("vpc_cni_ec2_budget"))
        return {name.removeprefix("vpc_cni_ec2_budget_"): float(value) for name, value in samples}

    before = shown()
    budget.acquire(CallKind.MUTATING, "CreateNetworkInterface", deadline=101.0)
    budget.throttled(CallKind.READING)
    after = shown()
    assert after['tokens{kind="mutating"}'] == before['tokens{kind="mutating"}'] - 1
    assert after['rate{kind="mutating"}'] == before['rate{kind="mutating"}']
    assert after['rate{kind="reading"}'] == before['rate{kind="reading"}'] / 2
    assert after['tokens{kind="reading"}'] == 0


def test_a_log_line_is_one_json_object_with_the_reference_names() -> None:
    record = logging.LogRecord("a", logging.WARNING, "/x/server.py", 7, "no %s", ("address",), None)
    record.fields = {"sandbox": "aws-cni/c/eth0"}
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["caller"], line["msg"]) == ("warning", "server.py:7", "no address")
    assert line["ts"].endswith("Z")
    assert line["sandbox"] == "aws-cni/c/eth0"


def test_an_unwritable_log_file_leaves_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    before = logging.getLogger().handlers[:]
    try:
        configure_logging("INFO", str(tmp_path / "file" / "ipamd.log"))
        assert "cannot be written" in capsys.readouterr().out
    finally:
        logging.getLogger().handlers[:] = before


def test_a_log_file_is_rotated_and_loses_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_FILE_BYTES", 2000)
    before = logging.getLogger().handlers[:]
    try:
        configure_logging("INFO", str(tmp_path / "ipamd.log"))
        for number in range(60):
            logging.getLogger("test").info("line %d", number)
    finally:
        logging.getLogger().handlers[:] = before
    files = sorted(tmp_path.iterdir())
    lines = [json.loads(line)["msg"] for file in files for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert all(file.stat().st_size <= 2000 for file in files)
    assert sorted(lines) == sorted(f"line {number}" for number in range(60))
    assert len(capsys.readouterr().out.splitlines()) == 60


def test_a_full_log_file_leaves_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        configure_logging("INFO", "/dev/full")
        logging.getLogger("test").info("still there")
    finally:
        logging.getLogger().handlers[:] = before
    assert "still there" in capsys.readouterr().out
