import tomllib
from pathlib import Path

import vpc_cni


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert vpc_cni.__version__ == project["version"]
