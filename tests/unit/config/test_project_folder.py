from __future__ import annotations

from pathlib import Path

import pytest

from mlops.config.project_folder import load_params
from mlops.config.settings import expanded
from mlops.errors import ConfigError

ROOT = Path(__file__).parents[3]


def test_a_variable_comes_from_the_environment_or_else_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / ".env"
    env.write_text("PLUMS_USER=ada\nPLUMS_PASSWORD=of the file\n")
    monkeypatch.setenv("PLUMS_PASSWORD", "of the environment")
    assert expanded("db://${PLUMS_USER}:${PLUMS_PASSWORD}@host", env) == "db://ada:of the environment@host"
    assert expanded("no variable") == "no variable"


def test_a_password_is_put_as_an_address_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMS_PASSWORD", "p@ss:w0/d%2F")
    monkeypatch.setenv("PLUMS_DATABASE", "db://ada:secret@host/plums")
    said = expanded("db://ada:${PLUMS_PASSWORD}@host/plums", quoted=True)
    assert said == "db://ada:p%40ss%3Aw0%2Fd%2F@host/plums"
    assert expanded("${PLUMS_DATABASE}", quoted=True) == "db://ada:secret@host/plums"
    assert expanded("ftp://ada:${PLUMS_PASSWORD}@host") == "ftp://ada:p@ss:w0/d%2F@host"


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="environment: PLUMS_NOWHERE"):
        expanded("db://${PLUMS_NOWHERE}@host", tmp_path / ".env")


@pytest.mark.parametrize(("task", "loss"), [("binary", "log_loss"), ("regression", "squared_error")])
@pytest.mark.parametrize("gate", ["", "gate: {min_rows: 100}"])
def test_the_gate_measures_by_the_loss_of_the_task_unless_told(
    tmp_path: Path, task: str, loss: str, gate: str
) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "data: {name: plums, target: ripe, features: {size: number}}\n"
        f"model: {{builder: model.py, task: {task}}}\n{gate}\n"
    )
    assert load_params(file).gate.metric == loss


PLUMS = """\
data: {name: plums, target: ripe, features: {size: number}}
model: {builder: model.py, task: binary}
mine: {k: 1}
"""


def test_what_monitoring_accepts_must_be_a_feature(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    plums = PLUMS.replace("mine: {k: 1}", "monitor: {accept: [%s]}")
    file.write_text(plums % "size")
    assert load_params(file).monitor.accept == ("size",)
    file.write_text(plums % "size, ripe")
    with pytest.raises(ConfigError, match=r"monitor.accept: got 'ripe', allowed: features: size"):
        load_params(file)


@pytest.mark.parametrize(
    "stage",
    [
        "{cmd: x, params: [mine.k]}",
        "{foreach: [a, b], do: {cmd: x, params: [mine.k]}}",
        "{matrix: {m: [a, b]}, cmd: x, params: [mine.k]}",
    ],
)
def test_a_section_that_a_stage_names_is_the_users_own(tmp_path: Path, stage: str) -> None:
    (tmp_path / "params.yaml").write_text(PLUMS)
    with pytest.raises(ConfigError, match="mine: got 'mine', allowed: version, data, model"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  empty: {{cmd: x, params: }}\n  own: {stage}\n")
    assert load_params(tmp_path / "params.yaml").data.name == "plums"


@pytest.mark.parametrize("stages", ["[", "3", "{own: }", "{own: {cmd: x, params: 3}}"])
def test_a_pipeline_that_is_none_is_named(tmp_path: Path, stages: str) -> None:
    (tmp_path / "params.yaml").write_text(PLUMS)
    (tmp_path / "dvc.yaml").write_text(f"stages: {stages}\n")
    with pytest.raises(ConfigError, match=r"dvc\.yaml: "):
        load_params(tmp_path / "params.yaml")


SOURCE = """\
data: {{name: plums, target: ripe, features: {{size: number}}, source: {{sql: SELECT 1, url: "{address}"}}}}
model: {{builder: model.py, task: binary}}
"""


@pytest.mark.parametrize(
    "password", ["pass", "pa/ss", "p@ss", "/p@s/s", "pa:ss", "123456/7", "${A}pa/ss", "${A}${B}"]
)
def test_a_password_of_whatever_signs_is_refused_and_not_told_again(tmp_path: Path, password: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(SOURCE.format(address=f"postgresql://me:{password}@host/db"))
    with pytest.raises(
        ConfigError, match=r"got 'postgresql://me:\*\*\*@host/db', allowed: .*\$\{DB_PASSWORD\}"
    ):
        load_params(file)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:${A}@host:5432/db",
        "postgresql://me@host:5432/a@b",
        "https://host:8443/a@b",
        "https://host:8443/a:b@c",
        "postgresql://[::1]:5432/db?application_name=a@b",
        "s3://bucket/a:b@c",
    ],
)
def test_an_address_without_a_password_passes(tmp_path: Path, address: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(SOURCE.format(address=address))
    assert load_params(file).data.source.url == address  # type: ignore[union-attr]
