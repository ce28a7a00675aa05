"""docs/manifests.md is true."""

import contextlib
import doctest
import io
import re
from pathlib import Path

import vpc_cni.manifests
from vpc_cni.manifests import packaged_catalogue, parse_catalogue

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "manifests.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def test_the_example_prints_what_the_page_says() -> None:
    (example,) = blocks("python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "docs/manifests.md", "exec"), {})  # noqa: S102 - the page's own example
    assert printed.getvalue() == blocks("")[-1]


def test_the_example_of_the_package_is_true() -> None:
    outcome = doctest.testmod(vpc_cni.manifests)
    assert outcome.attempted >= 4
    assert outcome.failed == 0


def test_the_catalogue_of_the_page_is_one() -> None:
    profiles, offers = blocks("toml")
    assert [str(each.version) for each in parse_catalogue(profiles, "page").profiles] == ["v1.16.4"]
    both = parse_catalogue(profiles + offers, "page")
    assert [str(version) for version in both.addon_versions()] == ["v1.16.4-eksbuild.2"]


def test_the_members_of_the_catalogue_on_the_page_exist() -> None:
    table = PAGE.partition("| `Catalogue` |")[2].partition("\n\n")[0]
    names = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)", row.split("|")[1])}
    assert names >= {"addon_versions", "default_version", "find"}
    assert all(hasattr(packaged_catalogue(), name) for name in names)


def test_the_table_of_profiles_is_that_of_the_catalogue() -> None:
    rows = re.findall(r"^\| (v[\d.]+) \(builds? ([\d, ]+)\) \| (.*?) \| (.*?) \| (.*?) \|", PAGE, re.MULTILINE)
    catalogue = packaged_catalogue()
    assert [(version, builds, cni, agent) for version, builds, _kubernetes, cni, agent in rows] == [
        (
            str(profile.version),
            ", ".join(map(str, profile.builds)),
            profile.cni_version,
            profile.network_policy_agent or "none",
        )
        for profile in catalogue.profiles
    ]
    for (_version, _builds, kubernetes, *_rest), profile in zip(rows, catalogue.profiles, strict=True):
        assert kubernetes.endswith(f"to {profile.newest_kubernetes}")
