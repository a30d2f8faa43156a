"""What a machine brings, told from what is handed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.maintenance import packages as installation
from mlops.maintenance.machine_limits import check_temp
from mlops.maintenance.packages import (
    check_bytecode,
    check_lock,
    check_packages,
    check_processors,
    check_python,
    check_sqlite,
)

REQUIRES = [
    "pandas<3.1,>=2.3",
    "Scikit_Learn>=1.8",
    "colorama>=1; sys_platform == 'win32'",
    "x>1; extra == 'y'",
]
LOCKED = Path(__file__).parents[3] / "requirements.lock"
GOOD = {"pandas": "3.0.6", "scikit-learn": "1.9.1"}


def test_packages_within_their_bounds_are_one_line() -> None:
    [finding] = check_packages(REQUIRES, GOOD)
    assert (finding.state, finding.remedy) == ("ok", "")
    assert "scikit-learn 1.9.1; 2 within" in finding.detail


@pytest.mark.parametrize(("version", "state"), [("3.0.6", "ok"), ("3.1.0", "fail"), ("3.1.0rc1", "fail")])
def test_a_version_known_to_break_another_is_named_with_the_reason(version: str, state: str) -> None:
    [finding] = check_packages(REQUIRES, {**GOOD, "pandas": version})
    assert finding.state == state
    assert ("breaks `import evidently`" in finding.detail) == (state == "fail")


def test_a_missing_package_is_named() -> None:
    [finding] = check_packages(REQUIRES, {"pandas": "3.0.6"})
    assert (finding.name, finding.state, finding.detail) == ("Scikit_Learn", "fail", "not installed")
    assert "`uv pip install -r requirements.lock`" in finding.remedy  # in a clone
    assert "wheel again with `-c requirements.lock`" in finding.remedy


def test_bounds_that_are_unknown_are_a_warning() -> None:
    assert [finding.state for finding in check_packages([], GOOD)] == ["warn"]


def test_every_reason_belongs_to_a_bound_that_is_declared() -> None:
    _, requires = installation.required()
    named = {text.partition("<")[0].partition(">")[0] for text in requires}
    assert set(installation._BREAKS) <= named
    assert set(installation._MAIN_PACKAGES) <= named


LOCK = """\
numpy==2.2.0 ; python_version < '3.12' \\
    --hash=sha256:00
numpy==2.3.0 ; python_version >= '3.12' \\
    --hash=sha256:11
Some_Tool==1.0
"""


@pytest.mark.parametrize(
    ("packages", "state"),
    [
        ({"numpy": "2.2.0", "some-tool": "1.0"}, "ok"),
        ({"numpy": "2.3.0"}, "ok"),
        ({"numpy": "2.4.0"}, "warn"),
        ({"numpy": "2.3.0", "some-tool": "1.1"}, "warn"),
    ],
)
def test_what_differs_from_the_lock_is_a_warning(packages: dict[str, str], state: str) -> None:
    finding = check_lock(LOCK, packages)
    assert finding.state == state
    assert bool(finding.remedy) == (state == "warn")


def test_the_lock_of_this_repository_can_be_read() -> None:
    assert check_lock(LOCKED.read_text(), {"mlflow": "0.0.1"}).detail.startswith("mlflow 0.0.1 (locked 3.")


@pytest.mark.parametrize(("version", "state"), [("3.11.8", "ok"), ("3.15.0b1", "ok"), ("3.10.14", "fail")])
def test_python(version: str, state: str) -> None:
    assert check_python(version, ">=3.11").state == state


@pytest.mark.parametrize(("version", "state"), [((3, 40, 1), "ok"), ((3, 22, 0), "fail")])
def test_sqlite(version: tuple[int, ...], state: str) -> None:
    assert check_sqlite(version).state == state


def test_bytecode_that_may_not_be_kept_is_a_warning() -> None:
    assert check_bytecode({}).state == "ok"
    assert check_bytecode({"PYTHONDONTWRITEBYTECODE": "1"}).state == "warn"


@pytest.mark.parametrize(
    ("cores", "threads", "state"),
    [(8, None, "ok"), (8, "4", "ok"), (2, "8", "warn"), (1, None, "warn"), (2, "many", "ok")],
)
def test_cores(cores: int, threads: str | None, state: str) -> None:
    assert check_processors(cores, {"OMP_NUM_THREADS": threads} if threads else {}).state == state


def test_temp(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    assert check_temp(deep, Path("/tmp")).state == "ok"
    nowhere = tmp_path / "nowhere"
    finding = check_temp(nowhere, Path("/tmp"))
    assert finding.state == "fail"
    assert "TMPDIR" in finding.remedy
    finding = check_temp(Path("/tmp"), nowhere)
    assert (finding.state, "sockets" in finding.remedy) == ("fail", True)


def test_nothing_that_is_well_has_a_remedy_and_nothing_amiss_has_none() -> None:
    findings = installation.check(LOCKED, {}, "3.11.8")
    assert findings
    for finding in findings:
        assert bool(finding.remedy) == (finding.state != "ok"), finding
