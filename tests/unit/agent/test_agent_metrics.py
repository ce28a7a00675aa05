import json
import logging
from pathlib import Path

import pytest

from vpc_cni.agent.logs import JsonFormatter, configure_logging
from vpc_cni.agent.metrics import AgentMetrics


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
