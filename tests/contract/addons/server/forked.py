"""A service as a fork of a process that has loaded everything: fifty starts would otherwise be most of a test."""

import os
from pathlib import Path


def run(words: list[str], crash_at: str, out: Path) -> None:
    """Be ``vpc-cni`` from here on, with all output in a file."""
    descriptor = os.open(out, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.environ["VPC_CNI_ADDONS_CRASH_AT"] = crash_at
    from vpc_cni.cli import main  # noqa: PLC0415 # in the child

    main(words)
