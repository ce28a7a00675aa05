"""What the agent wants to know of its own Node object: is it cordoned, and how many pods may run on it.

What is not known, because there is no Node or the API server was never reached, counts as schedulable: a pool that
is kept up for nothing is better than pods that wait. What was known stays when the API server goes away.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vpc_cni.errors import VpcCniError
from vpc_cni.kube import Node

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
_NO_SCHEDULE = "NoSchedule"


@dataclass(frozen=True, slots=True)
class NodeView:
    """Our Node as far as it matters. ``max_pods`` is None when kubelet has not said it."""

    is_known: bool = False
    unschedulable: bool = False
    max_pods: int | None = None


def view_of(node: Node) -> NodeView:
    """Read a Node. Pure.

    Cordoned is who has the taint, as in the reference, or the field that ``kubectl cordon`` sets: the taint follows
    the field by the hand of a controller, which may be late or away.
    """
    taints = node.spec.taints or ()
    tainted = any(each.key == UNSCHEDULABLE_TAINT and each.effect == _NO_SCHEDULE for each in taints)
    pods = node.status.allocatable.pods if node.status.allocatable is not None else ""
    max_pods = int(pods) if pods.isascii() and pods.isdigit() and int(pods) > 0 else None
    return NodeView(is_known=True, unschedulable=tainted or node.spec.unschedulable, max_pods=max_pods)


class OwnNode:
    """Keeps the view current. Told by the watch's thread, tells on the loop, and only what is different.

    Args:
        on_loop: runs a function on the agent's loop, soon.
        on_view: takes each new view.
        on_contact: takes the error when the watch is lost, None when it goes on.
    """

    def __init__(
        self,
        *,
        on_loop: Callable[[Callable[[], None]], None],
        on_view: Callable[[NodeView], None],
        on_contact: Callable[[VpcCniError | None], None],
    ) -> None:
        self._on_loop = on_loop
        self._on_view = on_view
        self._on_contact = on_contact
        self._told = NodeView()

    def listed(self, items: Sequence[Node]) -> None:
        """Take the list: our Node, or nothing."""
        self._tell(view_of(items[0]) if items else NodeView())

    def changed(self, item: Node) -> None:
        """Take our Node as it is now."""
        self._tell(view_of(item))

    def deleted(self, item: Node) -> None:  # noqa: ARG002 - the watch's contract
        """Forget what was known: the Node may come back as another."""
        self._tell(NodeView())

    def lost(self, error: VpcCniError) -> None:
        """Pass on that the view may become old."""
        self._on_loop(lambda: self._on_contact(error))

    def resumed(self) -> None:
        """Pass on that the view is current."""
        self._on_loop(lambda: self._on_contact(None))

    def _tell(self, view: NodeView) -> None:
        # Kubelet writes its Node every few minutes, others more often: nearly all of it is nothing to us.
        if view != self._told:
            self._told = view
            self._on_loop(lambda: self._on_view(view))
