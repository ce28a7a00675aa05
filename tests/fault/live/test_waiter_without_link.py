"""A DEL whose link is gone already (the container's namespace died first) serves a waiting pod as any other does."""

import threading
import time

from vpc_cni.lab import Lab

COOLDOWN_SECONDS = 2.0
NODE = "node-1"
# A t3.micro has two interfaces with one secondary address each.
CAPACITY = 2


def test_an_address_whose_link_died_first_serves_a_waiter_after_its_cooldown() -> None:
    with Lab(nodes=1, name="waiter-no-link", instance_type="t3.micro", env={"IP_COOLDOWN_PERIOD": "2"}) as lab:
        victim, *_others = [lab.add_pod(NODE).name for _ in range(CAPACITY)]
        removed = lab.run(victim, ["ip", "link", "delete", "eth0"])
        assert removed.returncode == 0, removed.stderr
        served: list[float] = []

        def wait_for_address() -> None:
            lab.add_pod(NODE)
            served.append(time.monotonic())

        waiting = threading.Thread(target=wait_for_address)
        waiting.start()
        time.sleep(0.5)
        deleted_at = time.monotonic()
        lab.delete_pod(victim)
        waiting.join(timeout=30)

        assert served, "the waiting pod got no address"
        took = served[0] - deleted_at
        assert took >= COOLDOWN_SECONDS, "served before its cooldown"
        assert took < COOLDOWN_SECONDS + 5
