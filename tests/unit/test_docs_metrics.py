"""docs/metrics.md lists exactly the agent's metrics, with their types and labels."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from vpc_cni.agent.metrics import AgentMetrics

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| (\w+) \| ([a-z, ]*?) ?\|", re.MULTILINE)


def test_every_metric_is_documented_with_type_and_labels() -> None:
    documented = {
        name: (kind, tuple(labels.split(", ")) if labels else ())
        for name, kind, labels in ROW.findall(PAGE.read_text())
    }
    metrics = AgentMetrics("test")
    present = {
        # There is no public way to ask a metric for the names of its labels.
        metric._name: (metric._type, metric._labelnames)
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
    }
    present["awscni_build_info"] = ("gauge", ("version", "goversion"))
    assert documented == present
    assert {family.name for family in metrics.registry.collect()} == set(present)


def test_metrics_that_other_pages_and_rules_name_exist() -> None:
    exposition = AgentMetrics("test").exposition().decode()
    for name in re.findall(r"`(?:rate\()?(vpc_cni_[a-z_]+_total|awscni_[a-z0-9_]+)", PAGE.read_text()):
        assert re.search(rf"^# TYPE {name} ", exposition, re.MULTILINE), name
