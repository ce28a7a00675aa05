"""Every example in the docstrings of ``vpc_cni.ipam`` and in ``docs/pool.md`` is true; every reason is documented."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import vpc_cni.ipam
from vpc_cni.ipam import QuarantineReason
from vpc_cni.ipam.plan import SHORTAGE_HINTS

POOL_PAGE = Path(__file__).parents[3] / "docs" / "pool.md"
MODULES = [info.name for info in pkgutil.iter_modules(vpc_cni.ipam.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"vpc_cni.ipam.{name}")).failed == 0


def test_page_examples() -> None:
    text = POOL_PAGE.read_text().replace("```", "\n\n")
    test = doctest.DocTestParser().get_doctest(text, {}, "docs/pool.md", str(POOL_PAGE), 0)
    outcome = doctest.DocTestRunner().run(test)
    assert outcome.failed == 0
    assert outcome.attempted > 10


@pytest.mark.parametrize("reason", [*QuarantineReason, *SHORTAGE_HINTS])
def test_page_names_every_reason(reason: str) -> None:
    assert f"`{reason}`" in POOL_PAGE.read_text()


def test_everything_public_is_exported_and_documented() -> None:
    assert sorted(vpc_cni.ipam.__all__) == list(vpc_cni.ipam.__all__)
    classes = [getattr(vpc_cni.ipam, name) for name in vpc_cni.ipam.__all__]
    undocumented = [each for each in classes if isinstance(each, type) and not each.__doc__]
    assert undocumented == []
