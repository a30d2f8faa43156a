"""The documentation says what the code does, and leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(path: Path) -> str:
    """A page without what stands in fences."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def dead_links(path: Path, text: str) -> list[str]:
    """Targets of relative links that are not there."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    inside = [target.partition("#")[0] for target in targets if "://" not in target]
    return [target for target in inside if target and not (path.parent / target).exists()]


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def commands(text: str) -> set[str]:
    """Targets that a text calls make with, on a line of their own or in backticks."""
    return set(re.findall(r"^make ([a-z]+)\b|`(?:[A-Z_]+=\S+ )*make ([a-z]+)`", text, flags=re.MULTILINE))


def test_every_verb_is_in_the_docs_and_has_help_with_an_example(generate):
    page = (DOCS / "verbs.md").read_text()
    verbs = dict(generate.verbs())
    assert {"train", "labels add"} <= set(verbs)
    for name, command in verbs.items():
        assert f"## mlops {name}\n" in page, name
        assert f"Example: mlops {name}" in command.help, name


def test_every_option_and_argument_has_help(generate):
    for name, command in generate.verbs():
        assert all(parameter.help for parameter in command.params), name


def test_every_verb_is_in_the_readme(generate):
    readme = (ROOT / "README.md").read_text()
    assert [name for name, _ in generate.verbs() if f"mlops {name}" not in readme] == []


def test_the_generated_pages_are_what_the_code_says(generate):
    assert generate.stale() == [], "run .venv/bin/python docs/generate.py"


def test_a_page_that_differs_is_found(generate, tmp_path, monkeypatch):
    for name, render in generate.PAGES.items():
        (tmp_path / name).write_text(render())
    monkeypatch.setattr(generate, "HERE", tmp_path)
    assert generate.stale() == []
    (tmp_path / "verbs.md").write_text("# Verbs\n")
    (tmp_path / "settings.md").unlink()
    assert generate.stale() == ["verbs.md", "settings.md"]


def test_the_pages_are_the_same_in_another_process():
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_key_of_params_yaml_is_in_the_docs(generate):
    from mlops.config import Params, Settings

    page = (DOCS / "settings.md").read_text()
    for section, field in Params.model_fields.items():
        _, _, part = page.partition(f"\n## `{section}`\n")
        part = part.partition("\n## ")[0]
        assert [key for key in field.annotation.model_fields if f"| `{key}` |" not in part] == [], section
    assert len(re.findall(r"^\| `[A-Z_]+` \|", page, flags=re.MULTILINE)) == len(Settings.model_fields)


def test_the_readme_opens_with_commands_that_make_knows():
    lines = (ROOT / "README.md").read_text().splitlines()
    opening = "\n".join(lines[:20])
    called = {one or other for one, other in commands("\n".join(lines))}
    assert re.search(r"^make demo\b", opening, flags=re.MULTILINE)
    assert re.search(r"^make test\b", opening, flags=re.MULTILINE)
    assert {"demo", "test", "install", "down"} <= called
    assert called <= targets((ROOT / "Makefile").read_text())


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_resolves(path):
    assert dead_links(path, prose(path)) == []


def test_a_dead_link_is_found():
    text = "[one](docs/index.md) [two](docs/nowhere.md#part) [three](https://example.org) [four](#here)"
    assert dead_links(ROOT / "README.md", text) == ["docs/nowhere.md"]


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert [page for page in pages if page not in navigation] == []
