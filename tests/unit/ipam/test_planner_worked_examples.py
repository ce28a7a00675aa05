"""The worked examples of the reference's pool rules, secondary-address mode, as steady states of our planner."""

import pytest

from vpc_cni.ipam import Targets, find_limits
from vpc_cni.ipam.capacity import plan_capacity

DEFAULT = Targets(warm_eni=1)
NO_WARM_ENI = Targets(warm_eni=0)

# (instance type, targets, pods, addresses on each ENI, free addresses)
EXAMPLES = [
    ("t3.small", DEFAULT, 0, (3,), 3),
    ("t3.small", DEFAULT, 1, (3, 3), 5),
    ("t3.small", DEFAULT, 4, (3, 3, 3), 5),
    ("t3.small", DEFAULT, 9, (3, 3, 3), 0),
    ("m5.large", DEFAULT, 0, (9,), 9),
    *[("m5.large", DEFAULT, pods, (9, 9), 18 - pods) for pods in range(1, 10)],
    ("m5.large", DEFAULT, 10, (9, 9, 9), 17),
    *[("m5.large", NO_WARM_ENI, pods, (9,), 9 - pods) for pods in range(9)],
    ("m5.large", NO_WARM_ENI, 9, (9, 9), 9),
    ("m4.4xlarge", DEFAULT, 0, (29,), 29),
    *[("m4.4xlarge", DEFAULT, pods, (29, 29), 58 - pods) for pods in (1, 15, 29)],
    *[("m4.4xlarge", DEFAULT, pods, (29, 29, 29), 87 - pods) for pods in (30, 45, 58)],
    ("t3.small", Targets(warm_ip=1, minimum_ip=1), 0, (1,), 1),
    ("t3.small", Targets(warm_ip=1, minimum_ip=1), 5, (3, 3), 1),
    ("t3.small", Targets(warm_ip=1, minimum_ip=1), 9, (3, 3, 3), 0),
    ("t3.small", Targets(warm_ip=2, minimum_ip=5), 0, (3, 2), 5),
    ("t3.small", Targets(warm_ip=2, minimum_ip=5), 5, (3, 3, 1), 2),
    ("t3.small", Targets(warm_ip=2, minimum_ip=5), 9, (3, 3, 3), 0),
    *[("m5.large", Targets(warm_ip=2, minimum_ip=10), pods, (9, 1), 10 - pods) for pods in range(9)],
    ("m5.large", Targets(warm_ip=2, minimum_ip=10), 9, (9, 2), 2),
    ("m5.large", Targets(warm_ip=2, minimum_ip=10), 12, (9, 5), 2),
    ("m5.large", Targets(warm_ip=2, minimum_ip=10), 17, (9, 9, 1), 2),
    ("m5.large", Targets(warm_ip=2, minimum_ip=10), 26, (9, 9, 9), 1),
]


def example_id(example: tuple[str, Targets, int, tuple[int, ...], int]) -> str:
    instance_type, targets, pods, _, _ = example
    return f"{instance_type}-E{targets.warm_eni}-W{targets.warm_ip}-M{targets.minimum_ip}-{pods}pods"


@pytest.mark.parametrize("arriving", [0, 1, 3], ids=["together", "one-by-one", "by-threes"])
@pytest.mark.parametrize("example", EXAMPLES, ids=example_id)
def test_steady_state_of_worked_example(example: tuple[str, Targets, int, tuple[int, ...], int], arriving: int) -> None:
    instance_type, targets, pods, per_eni, free = example
    capacity = plan_capacity(targets, find_limits(instance_type), pods, arriving=arriving)
    assert (capacity.addresses_per_eni, capacity.free, capacity.unserved) == (per_eni, free, 0)
