"""The documentation says what the code does, and leads somewhere."""

from __future__ import annotations

import ast
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from tests.documentation import loaded

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return loaded("generate")


@pytest.fixture(scope="module")
def picture() -> ModuleType:
    return loaded("architecture_picture")


def lost(text: str) -> list[str]:
    """Paths in backticks that are not there, or lack what is named behind the colon."""
    found = []
    for path, name in re.findall(r"`((?:mlops|flows|docs)/[\w/]+\.py)(?::(\w+))?`", text):
        file = ROOT / path
        body = ast.parse(file.read_text()).body if file.is_file() else []
        names = [getattr(node, "name", None) for node in body]
        set_here = [node for node in body if isinstance(node, ast.Assign | ast.AnnAssign)]
        names += [part.id for node in set_here for part in ast.walk(node) if isinstance(part, ast.Name)]
        if not file.is_file() or (name and name not in names):
            found.append(f"{path}:{name}" if name else path)
    return found


def prose(path: Path) -> str:
    """A page without what stands in fences."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def dead_links(path: Path, text: str) -> list[str]:
    """Targets of relative links that are not there."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    inside = [target.partition("#")[0] for target in targets if "://" not in target]
    return [target for target in inside if target and not (path.parent / target).exists()]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("|"))]


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def make_targets(text: str) -> set[str]:
    """Targets that a text calls make with, on a line of their own or in backticks."""
    return set(re.findall(r"^make ([a-z]+)\b|`(?:[A-Z_]+=\S+ )*make ([a-z]+)`", text, flags=re.MULTILINE))


def test_every_command_has_its_page_with_an_example_and_the_exit_codes(generate):
    commands = dict(generate.commands())
    assert {"train", "labels add"} <= set(commands)
    index = (DOCS / "commands" / "index.md").read_text()
    for name, command in commands.items():
        page = (DOCS / "commands" / f"{name.split()[0]}.md").read_text()
        assert f"# mlops {name}\n" in page, name
        assert f"mlops {name} [OPTIONS]" in page, name
        assert f"Example: mlops {name}" in command.help, name
        assert "Exit codes: 0 done" in page, name
        assert f"[`mlops {name}`]" in index, name


def test_every_option_and_argument_has_help(generate):
    for name, command in generate.commands():
        assert all(parameter.help for parameter in command.params), name


def test_every_command_is_in_the_readme(generate):
    readme = (ROOT / "README.md").read_text()
    assert [name for name, _ in generate.commands() if f"mlops {name}" not in readme] == []


def test_the_generated_pages_are_what_the_code_says(generate):
    assert generate.stale() == [], "run .venv/bin/python docs/generate.py"


def test_a_page_that_differs_is_found(generate, tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    (docs / "commands").mkdir(parents=True)
    shutil.copytree(DOCS / "notes", docs / "notes")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    for name, render in generate.pages().items():
        (docs / name).write_text(render())
    monkeypatch.setattr(generate, "HERE", docs)
    assert generate.stale() == []
    (docs / "commands" / "train.md").write_text("# mlops train\n")
    (docs / "commands" / "trian.md").write_text("# mlops trian\n")
    (docs / "settings.md").unlink()
    navigation = (tmp_path / "mkdocs.yml").read_text()
    (tmp_path / "mkdocs.yml").write_text(navigation.replace("      - commands/train.md\n", ""))
    assert generate.stale() == ["commands/train.md", "settings.md", "../mkdocs.yml", "commands/trian.md"]


def test_a_note_closes_the_page_of_its_command(generate):
    for note in (DOCS / "notes").glob("*.md"):
        page = (DOCS / "commands" / note.name).read_text()
        assert page.endswith(note.read_text()), note.name


def test_the_pages_are_the_same_in_another_process():
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_key_of_params_yaml_is_in_the_docs(generate):
    from mlops.config.params import VERSION, Params
    from mlops.config.settings import Settings

    page = (DOCS / "settings.md").read_text()
    assert f"`version: {VERSION}`" in page
    for section, field in Params.model_fields.items():
        if section == "version":
            continue
        _, _, part = page.partition(f"\n## `{section}`\n")
        part = part.partition("\n## ")[0]
        assert [key for key in field.annotation.model_fields if f"| `{key}` |" not in part] == [], section
    assert len(re.findall(r"^\| `[A-Z_]+` \|", page, flags=re.MULTILINE)) == len(Settings.model_fields)


def test_every_key_has_its_type_in_words_and_says_what_it_is_for():
    page = (DOCS / "settings.md").read_text()
    rows = [cells(line) for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert [row[0] for row in rows if len(row) != 4 or "" in row or "[" in row[1]] == []


def test_a_source_that_is_a_mapping_has_its_keys_in_the_docs():
    page = (DOCS / "settings.md").read_text()
    assert [
        key
        for key in ("sql", "url", "cursor", "delta", "version", "function")
        if f"\n| `{key}` |" not in page
    ] == []


def test_an_option_that_must_be_given_is_marked():
    assert (
        "| `--target TARGET` | The column to predict. | required |"
        in (DOCS / "commands" / "init.md").read_text()
    )


def test_the_queries_of_the_records_page_find_a_decision_and_its_causes(tmp_path):
    from mlops.ledger.records import DriftChecked, GateJudged, ModelPromoted, RunRequested
    from mlops.ledger.store import Ledger
    from tests.ledger_rows import made

    file = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{file}")
    drift = ledger.record(
        made(DriftChecked, confirmed=True), cause=ledger.record(made(RunRequested)), as_of=datetime.now(UTC)
    )
    judged = ledger.record(made(GateJudged), cause=drift)
    ledger.record(made(ModelPromoted), cause=judged)
    page = (DOCS / "records.md").read_text()
    last, chain = re.findall(r'ledger\.db "(.*?)"\n```', page, flags=re.DOTALL)
    with closing(sqlite3.connect(file)) as connection:
        sentences = [row[2] for row in connection.execute(last)]
        kinds = [row[1] for row in connection.execute(chain)]
        columns = [row[1] for row in connection.execute("pragma table_info(entries)")]
    ledger.close()
    assert sentences == [judged.record.sentence, drift.record.sentence]
    assert kinds == ["model.promoted", "gate.judged", "drift.checked", "run.requested"]
    assert [name for name in columns if f"| `{name}` |" not in page] == []


def test_every_kind_of_row_is_in_the_loop_s_table():
    from mlops.ledger.records import RECORDS

    page = (DOCS / "loop.md").read_text()
    assert [record.kind for record in RECORDS if f"`{record.kind}`" not in page] == []


def test_the_readme_opens_with_commands_that_make_knows():
    lines = (ROOT / "README.md").read_text().splitlines()
    opening = "\n".join(lines[:20])
    called = {one or other for one, other in make_targets("\n".join(lines))}
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


def test_no_message_points_to_a_page_that_a_wheel_does_not_bring():
    files = [file for file in (ROOT / "mlops").rglob("*") if file.suffix in {".py", ".jinja"}]
    assert [file for file in files if re.search(r"docs/[\w/-]+\.md", file.read_text())] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.parent.name != "notes"]
    assert [page for page in pages if page not in navigation] == []


QUESTIONS = {
    "the drift threshold",
    "a request validated",
    "what runs at `mlops retrain`",
    "who promotes",
    "a source",
    "a deploy target",
    "a loss",
    "a task",
    "a feature type",
    "a drift statistic",
}


def test_the_architecture_page_answers_each_question_by_a_path_that_is_there():
    page = (DOCS / "architecture.md").read_text()
    answers = dict(cells(line)[:2] for line in page.partition("## Where is")[2].splitlines() if "|" in line)
    assert set(answers) >= QUESTIONS
    assert [
        one for one in QUESTIONS if not re.match(r"`(mlops|flows)/[\w/]+\.py(:\w+)?`", answers[one])
    ] == []
    assert lost(page) == []


def machine_paths(text: str) -> list[str]:
    """The paths in a text that lead into somebody's home, a folder for drafts, or this checkout."""
    here = re.escape(f"{ROOT}/")
    return re.findall(rf"(?:/(?:home|root|tmp|Users)/|{here})[^\s\"<]*", text)


def test_the_notebook_is_small_and_names_no_folder_of_the_machine_that_ran_it() -> None:
    notebook = loaded("notebook")
    text = notebook.NOTEBOOK.read_text()
    assert machine_paths(text) == []
    assert len(text) <= notebook.MOST_BYTES
    assert machine_paths('"folder /home/me/loop/.demo<"') == ["/home/me/loop/.demo"]
    assert machine_paths(f"folder {ROOT}/.demo") == [f"{ROOT}/.demo"]


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in DOCS.glob("*.md"))]
)
def test_the_paths_that_a_page_names_are_there(page):
    assert lost((ROOT / page).read_text()) == []


def test_a_path_that_leads_nowhere_is_found():
    text = "`mlops/lake.py` `mlops/data/lake.py:Lake` `mlops/data/lake.py:Pond` `mlops/data/lake.py`"
    assert lost(text) == ["mlops/lake.py", "mlops/data/lake.py:Pond"]


def test_every_package_is_on_the_architecture_page_in_the_order_of_the_contract(picture):
    page = (DOCS / "architecture.md").read_text().partition("## Packages")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == [
        name for row in picture.rows() for name in row
    ]


def test_the_picture_of_the_packages_is_what_the_contract_says(picture):
    drawn = (DOCS / "images" / "architecture.svg").read_text()
    assert drawn == picture.draw(), "run .venv/bin/python docs/architecture_picture.py"
    assert [name for row in picture.rows() for name in row if f">{name}</text>" not in drawn] == []
