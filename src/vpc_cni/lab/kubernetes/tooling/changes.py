"""What is different from Debian's sources in a set of programs that we build: plain data, and its record.

The record lies beside the programs and beside the unpacked sources, so both tell whether they are of today. Another
list of changes makes `vpc-cni lab kubernetes prepare` unpack and build once more.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD = "changes.json"

_REFLECT2 = "vendor/github.com/modern-go/reflect2"
_GO_118 = "Go 1.18 lets the caller make the iterator of a map; without this the first custom resource ends the program"


@dataclass(frozen=True, slots=True)
class Change:
    """A text of one source file and what stands there instead, with the reason."""

    file: str
    before: str
    after: str
    why: str


CHANGES = (
    # Waiting times of kubelet alone: a test that starts a node or deletes pods would spend most of its time in them.
    Change(
        "vendor/github.com/google/cadvisor/container/docker/factory.go",
        "const rootDirRetries = 5",
        "const rootDirRetries = 1",
        "cadvisor asks for docker so often, a second apart, before it believes that there is none",
    ),
    Change(
        "pkg/kubelet/kubelet.go",
        "ContainerGCPeriod = time.Minute",
        "ContainerGCPeriod = 2 * time.Second",
        "the object of a deleted pod stays until the sandbox is collected; later releases do not wait for that",
    ),
    Change(
        "pkg/kubelet/status/status_manager.go",
        "const syncPeriod = 10 * time.Second",
        "const syncPeriod = time.Second",
        "how often kubelet looks whether a deleted pod's object may go",
    ),
    # The sources are of Go 1.15, the compiler is 1.19. JSON of a map without a Go type, so of every custom resource,
    # is written by a package that reaches into the runtime: github.com/modern-go/reflect2, issue 24.
    Change(
        f"{_REFLECT2}/unsafe_link.go",
        "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer) *hiter",
        "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, iter *hiter)",
        _GO_118,
    ),
    Change(
        f"{_REFLECT2}/unsafe_link.go",
        "\t// rest fields are ignored",
        "\tpointers [6]unsafe.Pointer\n\tnumbers  [4]uintptr",
        "room for the whole of the runtime's hiter, with the pointers where the garbage collector looks for them",
    ),
    Change(
        f"{_REFLECT2}/unsafe_map.go",
        "\treturn &UnsafeMapIterator{\n\t\thiter:      mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj)),",
        "\titer := new(hiter)\n\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), iter)\n"
        "\treturn &UnsafeMapIterator{\n\t\thiter:      iter,",
        _GO_118,
    ),
)


def encode_record(changes: Sequence[Change] = CHANGES) -> str:
    """Return the record of a list of changes: JSON for people to read. Pure."""
    return json.dumps([asdict(change) for change in changes], indent=1) + "\n"


def has_record(folder: Path, changes: Sequence[Change] = CHANGES) -> bool:
    """Tell whether what a folder holds was made with just these changes."""
    path = folder / RECORD
    return path.is_file() and path.read_text() == encode_record(changes)
