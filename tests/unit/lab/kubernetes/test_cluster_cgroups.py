"""Control groups of a lab, in folders that look like both versions of the kernel's."""

from pathlib import Path

import pytest

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.cgroups import create_group, node_group, remove_groups


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for name in ("cpuset", "memory", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpu").symlink_to("memory")  # hierarchies that two controllers share
    return tmp_path


def test_a_group_is_made_in_every_hierarchy_and_all_of_a_lab_go_together(version_1: Path) -> None:
    create_group(node_group("one", "node-1"), version_1)
    create_group(node_group("one", "node-2"), version_1)
    create_group(node_group("two", "node-1"), version_1)
    (version_1 / "memory/vpc-cni-lab/one/node-1/kubepods/pod1").mkdir(parents=True)
    assert (version_1 / "cpuset/vpc-cni-lab/one/node-2").is_dir()
    assert remove_groups("one", version_1)
    assert not (version_1 / "memory/vpc-cni-lab/one").exists()
    assert (version_1 / "memory/vpc-cni-lab/two/node-1").is_dir()
    assert remove_groups("two", version_1)
    assert sorted(entry.name for entry in (version_1 / "unified").iterdir()) == ["cgroup.procs"]


def test_a_new_set_of_processors_gets_those_of_its_parent(version_1: Path) -> None:
    # The kernel makes these files with the folder; here the folder is made first.
    levels = [version_1 / "cpuset", version_1 / "cpuset/vpc-cni-lab", version_1 / "cpuset/vpc-cni-lab/one"]
    for level in (*levels, levels[-1] / "node-1"):
        level.mkdir(exist_ok=True)
        (level / "cpuset.cpus").write_text("0-1\n" if level == levels[0] else "\n")
        (level / "cpuset.mems").write_text("0\n" if level == levels[0] else "\n")
    create_group(node_group("one", "node-1"), version_1)
    assert (levels[-1] / "node-1/cpuset.cpus").read_text() == "0-1\n"
    assert (levels[-1] / "node-1/cpuset.mems").read_text() == "0\n"


def test_version_2_hands_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    create_group(node_group("one", "node-1"), tmp_path)
    assert (tmp_path / "vpc-cni-lab/one/node-1").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"  # the last of one write each


def test_a_machine_without_control_groups_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no control groups"):
        create_group(node_group("one", "node-1"), tmp_path)


def test_a_group_that_cannot_be_removed_is_reported_after_the_deadline(version_1: Path) -> None:
    create_group(node_group("one", "node-1"), version_1)
    (version_1 / "memory/vpc-cni-lab/one/node-1/file").touch()  # stands for a process inside
    assert not remove_groups("one", version_1, timeout_seconds=0.0)
    assert not (version_1 / "cpuset/vpc-cni-lab/one").exists()
