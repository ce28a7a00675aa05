"""The documents agree with the program, with each other, and with the rules of the repository."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from vpc_cni.errors import Shortage

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """Return a document without its code blocks."""
    return CODE_BLOCK.sub("", path.read_text())


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_current() -> None:
    assert (ROOT / "docs/settings.md").read_text() == load_tool("settings_doc").render(), "run `make docs`"


def test_every_reason_for_a_missing_address_is_explained() -> None:
    text = (ROOT / "docs/pool.md").read_text()
    assert [str(reason) for reason in Shortage if f"`{reason}`" not in text] == []


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(path: Path) -> None:
    broken = []
    for link in LINK.findall(prose(path)):
        file, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_named_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    named = re.findall(r"`make ([a-z0-9-]+)", text) + re.findall(r"^make ([a-z0-9-]+)", text, re.MULTILINE)
    assert set(named) - targets == set()


def skeleton(path: Path) -> list[str]:
    """Return what two languages of a document must share: order of headings, tables, lists, code and links."""
    shape = []
    for line in CODE_BLOCK.sub(lambda block: "\n".join(commands(block[0])), path.read_text()).splitlines():
        if line.startswith("#"):
            shape.append("#" * line.count("#"))
        elif line.startswith("|"):
            shape.append(f"row of {line.count('|') - 1}")
        elif line.startswith("- "):
            shape.append("item")
        elif line.startswith("$ "):
            shape.append(line)
        shape += [link for link in LINK.findall(line) if not link.startswith("README")]
    return shape


def commands(block: str) -> list[str]:
    """Return the lines of a code block without their comments."""
    return ["$ " + line.partition("#")[0].strip() for line in block.splitlines()[1:-1]]


def test_both_languages_of_the_readme_say_the_same() -> None:
    english, japanese = skeleton(ROOT / "README.md"), skeleton(ROOT / "README.ja.md")
    assert sorted(english) == sorted(japanese)
    structure = [each for each in english if each.startswith(("#", "row", "item", "$"))]
    assert structure == [each for each in japanese if each.startswith(("#", "row", "item", "$"))]


def test_every_variable_that_documents_name_is_known() -> None:
    known = set(re.findall(r"`([A-Z][A-Z0-9a-z_]+)`", (ROOT / "docs/settings.md").read_text()))
    words = re.compile(r"`((?:AWS_VPC|VPC_CNI|WARM|ENABLE|DISABLE)_[A-Z0-9a-z_]+)(?:=[^`]*)?`")
    for path in (ROOT / "README.md", ROOT / "docs/compatibility.md", ROOT / "docs/security.md"):
        assert set(words.findall(path.read_text())) - known == set(), path.name


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("*.md")), ids=name_of)
def test_a_decision_has_number_and_sections(path: Path) -> None:
    text = path.read_text()
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {int(path.name[:4])}. ")
    for section in ("Context", "Decision", "Consequences"):
        assert f"\n## {section}\n" in text


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/adr").glob("*.md")]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    "path", sorted(set(ROOT.glob("changelog.d/*")) - {ROOT / "changelog.d/README.md"}), ids=name_of
)
def test_a_changelog_fragment_is_one_short_text(path: Path) -> None:
    assert re.fullmatch(r"\d+(\.[a-z0-9-]+)?\.(breaking|feature|bugfix|deprecated|docs)\.md", path.name)
    text = path.read_text().strip()
    assert text.endswith(".")
    assert len(text) < 600
    assert "\n\n" not in text


# In parts, since this file must not hold them either.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("pypi", "python", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("rubygems", "org"),
        ("anaconda", "org"),
    )
]


def files_of_the_repository() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: which files belong to it is not known")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_the_host_of_a_package_index() -> None:
    found = []
    for path in files_of_the_repository():
        content = path.read_bytes().lower()
        found += [f"{name_of(path)}: {host}" for host in REGISTRY_HOSTS if host.encode() in content]
    assert found == []


def test_the_locks_pin_the_same_versions() -> None:
    wheels = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "tools/wheelhouse.txt").read_text(), re.MULTILINE))
    lock = (ROOT / "uv.lock").read_text()
    locked = dict(re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"\nsource = \{ registry', lock, re.MULTILINE))
    assert len(wheels) > 20
    assert locked == wheels
