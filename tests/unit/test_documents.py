"""The documents are part of the product: what they name exists, what exists is named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
READS = re.compile(r"""\.(?:text|integer|number|choice|flag|model_name|model_alias)\(\s*["']([A-Z][A-Z0-9_]+)["']""")


def settings_modules() -> list[Path]:
    return [*ROOT.glob("*/src/*/settings.py"), *ROOT.glob("airflow/plugins/*/settings.py")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_linked_files_exist(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_setting_that_a_service_reads_is_explained() -> None:
    explained = "\n".join(path.read_text() for path in (ROOT / "docs/settings").glob("*.md"))
    explained += (ROOT / "docs/architecture.md").read_text()
    modules = settings_modules()
    assert len(modules) >= 5
    read = {name for module in modules for name in READS.findall(module.read_text())}
    assert read
    assert sorted(name for name in read if name not in explained) == []


def test_every_setting_of_the_example_is_used() -> None:
    names = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    places = [*ROOT.glob("*/compose*.yaml"), *ROOT.glob("launch/*.sh"), *ROOT.glob("native/*"), ROOT / "nginx/settings"]
    used = "\n".join(path.read_text() for path in places if path.is_file())
    assert sorted(name for name in names if name not in used) == []


def test_services_read_the_environment_in_their_settings_only() -> None:
    sources = [path for path in ROOT.glob("*/src/**/*.py") if path.name not in ("settings.py", "__main__.py")]
    reading = [path for path in sources if re.search(r"os\.(environ(\[|\.get)|getenv)", path.read_text())]
    assert reading == []


def test_readme_opens_with_the_two_commands() -> None:
    commands = re.findall(r"^    (sh [a-z.]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert commands == ["sh launch.sh", "sh test.sh"]
    assert all((ROOT / command.split()[1]).exists() for command in commands)
