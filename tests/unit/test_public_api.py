"""What `import mlops` gives: few names, each brought in when it is first used."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import mlops
from tests.ripening import plums, ripening

HEAVY = ("pandas", "numpy", "pyarrow", "pydantic", "sqlalchemy", "mlflow", "prefect", "dvc", "evidently")


def modules_after(program: str) -> set[str]:
    """Run a program in a process of its own and return the modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_but_itself():
    before, after = modules_after("import __future__"), modules_after("import mlops")
    assert after - before == {"mlops"}
    assert after.isdisjoint(HEAVY)


def test_a_name_is_brought_in_when_it_is_used():
    assert "numpy" in modules_after("import mlops; mlops.measure_drift")


def test_opening_a_project_loads_no_vendor(tmp_path):
    (tmp_path / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    loaded = modules_after(f"import mlops; mlops.open({str(tmp_path)!r})")
    assert loaded.isdisjoint({"pandas", "mlflow", "prefect", "dvc", "evidently", "sklearn"})


def test_there_are_few_public_names_and_all_are_there():
    assert len(mlops.__all__) <= 20
    assert sorted(mlops.__all__) == mlops.__all__
    assert [name for name in mlops.__all__ if getattr(mlops, name, None) is None] == []
    assert set(mlops.__all__) <= set(dir(mlops))


def test_what_is_no_public_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'mlops' has no attribute 'train'"):
        mlops.train  # noqa: B018


def test_editors_see_the_names_that_are_brought_in_late():
    source = Path(mlops.__file__).read_text(encoding="utf-8")
    late = {*mlops._HOMES, "errors"}
    imported = source.partition("if TYPE_CHECKING:")[2].partition("\n\n__version__")[0]
    assert [name for name in late if f"import {name}\n" not in f"{imported}\n"] == []
    assert late | {"open", "__version__"} == set(mlops.__all__)
    assert (Path(mlops.__file__).parent / "py.typed").is_file()


NAMES = [name for name in mlops.__all__ if name not in ("__version__", "errors")]


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_is_documented_with_an_example(name):
    text = getattr(mlops, name).__doc__
    assert "Parameters\n" in text
    assert ">>> " in text


@pytest.mark.parametrize("method", ["predictions", "windows", "decisions", "versions", "version"])
def test_each_public_method_is_documented_with_an_example(method):
    assert ">>> " in getattr(mlops.Project, method).__doc__


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return ripening(tmp_path_factory.mktemp("examples") / "plums")


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run(name, root, monkeypatch):
    monkeypatch.chdir(root)
    known = {"mlops": mlops, "project": mlops.open(root), "rows": plums()}
    runner, output = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for example in doctest.DocTestFinder().find(getattr(mlops, name), name, module=False, globs=known):
        runner.run(example, out=output.append)
    assert runner.failures == 0, "".join(output)
    assert runner.tries > 0 or name == "Client"  # whose example asks a service: docs/python.md asks one
