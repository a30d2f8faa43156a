"""Every source gives what is new, once, as files that the lake can read."""

from __future__ import annotations

import sqlite3
import sys
import tomllib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from mlops.adapters.sources.custom_source import CustomSource
from mlops.adapters.sources.delta import DeltaSource
from mlops.adapters.sources.function import FunctionSource
from mlops.adapters.sources.remote_files import AddressSource
from mlops.adapters.sources.sql import SqlSource
from mlops.config.source_params import CustomSourceParams
from mlops.data.source import Fetched, FileSource, Source, SourceContext
from mlops.errors import ConfigError, DataError, MlopsError, UsageError
from mlops.schema import Schema
from mlops.tables.readers import read_table
from tests.outside import SOURCE

FIRST = pd.DataFrame({"plum": ["a", "b"], "size": [1.5, None], "day": ["2026-01-01", "2026-01-02"]})
SECOND = pd.DataFrame({"plum": ["c"], "size": [3.0], "day": ["2026-01-03"]})


@dataclass(frozen=True)
class Place:
    """A source, and what brings rows to it."""

    source: Source
    bring: Callable[[pd.DataFrame], None]
    remembers: bool = True
    """Whether it tells by a position what is new; else the content does."""


def of_files(folder: Path) -> Place:
    def bring(frame: pd.DataFrame) -> None:
        frame.to_csv(folder / f"{len(list(folder.iterdir()))}.csv", index=False)

    return Place(FileSource(str(folder), folder), bring, remembers=False)


def of_an_address(folder: Path) -> Place:
    system = fsspec.filesystem("memory")
    address = f"memory://{folder.name}-plums"

    def bring(frame: pd.DataFrame) -> None:
        held = system.ls(f"/{folder.name}-plums") if system.exists(f"/{folder.name}-plums") else []
        with system.open(f"/{folder.name}-plums/{len(held)}.csv", "w") as file:
            frame.to_csv(file, index=False)

    return Place(AddressSource(f"{address}/*.csv"), bring)


def of_a_query(folder: Path) -> Place:
    def bring(frame: pd.DataFrame) -> None:
        with sqlite3.connect(folder / "db") as database:
            frame.to_sql("plums", database, index=False, if_exists="append")
        database.close()

    source = SqlSource("plums", "SELECT * FROM plums;", f"sqlite:///{folder / 'db'}", "day")
    return Place(source, bring)


def of_a_delta_table(folder: Path) -> Place:
    deltalake = pytest.importorskip("deltalake")

    def bring(frame: pd.DataFrame) -> None:
        deltalake.write_deltalake(str(folder / "plums"), frame, mode="append")

    return Place(DeltaSource(str(folder / "plums")), bring)


def of_a_function(folder: Path) -> Place:
    (folder / "source.py").write_text(
        "from pathlib import Path\nimport pandas as pd\n"
        "def load(since):\n"
        f"    for file in sorted(Path({str(folder)!r}).glob('*.csv')):\n"
        "        yield pd.read_csv(file)\n"
    )

    def bring(frame: pd.DataFrame) -> None:
        frame.to_csv(folder / f"{len(list(folder.iterdir()))}.csv", index=False)

    return Place(FunctionSource("source.py:load", folder, "day"), bring)


def custom(root: Path, **keys: Any) -> CustomSource:
    (root / "journal.py").write_text(SOURCE)
    params = CustomSourceParams.model_validate({"class": "journal.py:Journal", **keys})
    return CustomSource.from_params(params, SourceContext("plums", root))


def of_a_class(folder: Path) -> Place:
    def bring(frame: pd.DataFrame) -> None:
        frame.to_json(folder / f"{len(list(folder.glob('*.json')))}.json", orient="records")

    return Place(custom(folder, folder="."), bring)


@pytest.fixture(params=[of_files, of_an_address, of_a_query, of_a_delta_table, of_a_function, of_a_class])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: Place = request.param(tmp_path)
    return made


@pytest.fixture
def look(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], list[Fetched]]:
    def fetched(since: Any = None) -> list[Fetched]:
        return list(place.source.fetch(since, tmp_path_factory.mktemp("fetched")))

    return fetched


def rows(fetched: list[Fetched]) -> list[tuple[str, str]]:
    frames = [read_table(each.file, Schema({}, "", "binary")) for each in fetched]
    return sorted((row.plum, str(row.day)[:10]) for frame in frames for row in frame.itertuples())


def told(*frames: pd.DataFrame) -> list[tuple[str, str]]:
    return sorted((row.plum, row.day) for frame in frames for row in frame.itertuples())


def test_the_first_look_gives_all_of_it(place: Place, look: Callable[..., list[Fetched]]) -> None:
    place.bring(FIRST)
    assert rows(look()) == told(FIRST)


def test_nothing_new_is_nothing_and_what_comes_later_comes_alone(
    place: Place, look: Callable[..., list[Fetched]]
) -> None:
    place.bring(FIRST)
    first = look()
    if not place.remembers:
        assert first[-1].position is None
        place.bring(SECOND)
        assert rows(look()) == told(FIRST, SECOND)  # the content tells
        return
    position = first[-1].position
    assert look(position) == []
    place.bring(SECOND)
    second = look(position)
    assert rows(second) == told(SECOND)
    assert look(second[-1].position) == []


def test_the_same_rows_are_the_same_bytes(place: Place, look: Callable[..., list[Fetched]]) -> None:
    place.bring(FIRST)
    assert [each.file.read_bytes() for each in look()] == [each.file.read_bytes() for each in look()]


@pytest.mark.parametrize(
    "missing",
    [
        FileSource("nowhere", Path("/nonexistent")),
        AddressSource("memory://nothing-here/t.csv"),
        AddressSource("http://127.0.0.1:9/t.csv"),
        AddressSource("nosuch://x/t.csv"),
        SqlSource("q", "SELECT 1", "sqlite:////nonexistent/folder/db"),
        SqlSource("q", "SELECT nothing FROM nowhere", "sqlite://"),
        SqlSource("q", "SELECT 1", "no address"),
        SqlSource("q", "SELECT 1 AS a, 2 AS a", "sqlite://"),
        SqlSource("q", "SELECT 1 AS a", "sqlite://", "b"),
        DeltaSource("/nonexistent/delta"),
        FunctionSource("none.py:load", Path("/nonexistent")),
    ],
    ids=lambda source: str(source)[:60],
)
def test_a_source_that_cannot_be_read_is_an_error_of_ours(missing: Source, tmp_path: Path) -> None:
    with pytest.raises(MlopsError) as told:
        list(missing.fetch(None, tmp_path))
    assert told.value.message


def test_of_a_delta_table_that_was_rewritten_all_is_new(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deltalake = pytest.importorskip("deltalake")
    address = str(tmp_path / "plums")
    deltalake.write_deltalake(address, FIRST)
    [first] = DeltaSource(address).fetch(None, tmp_path_factory.mktemp("fetched"))
    deltalake.write_deltalake(address, SECOND, mode="append")
    deltalake.write_deltalake(address, SECOND.assign(plum="d"), mode="overwrite")
    assert rows(list(DeltaSource(address).fetch(first.position, tmp_path_factory.mktemp("fetched")))) == told(
        SECOND.assign(plum="d")
    )
    pinned = DeltaSource(address, version=1)
    [then] = pinned.fetch(None, tmp_path_factory.mktemp("fetched"))
    assert rows([then]) == told(FIRST, SECOND)
    assert list(pinned.fetch(then.position, tmp_path_factory.mktemp("fetched"))) == []


def test_a_function_without_a_cursor_is_new_by_its_content(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "s.py").write_text("import pandas as pd\ndef load():\n    return pd.DataFrame({'a': [1]})\n")
    [given] = FunctionSource("s.py:load", tmp_path).fetch(None, tmp_path_factory.mktemp("fetched"))
    assert (given.name, given.position) == ("load.parquet", None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 3", "returned a int, not a DataFrame|failed: TypeError"),
        ("yield 3", "returned a int, not a DataFrame"),
        ("raise KeyError('plum')", "failed: KeyError"),
        ("return pd.DataFrame({'a': [1, 'b']})", "values of several types"),
    ],
)
def test_a_function_that_goes_wrong_is_named(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "s.py").write_text(f"import pandas as pd\ndef load():\n    {body}\n")
    with pytest.raises(MlopsError, match=f"s.py:load.*({said})"):
        list(FunctionSource("s.py:load", tmp_path).fetch(None, tmp_path))


def test_a_password_is_told_nowhere(tmp_path: Path) -> None:
    source = SqlSource("q", "SELECT 1", "postgresql+psycopg://me:secret@127.0.0.1:9/none")
    assert "secret" not in repr(source)
    with pytest.raises(MlopsError) as told:
        list(source.fetch(None, tmp_path))
    assert "127.0.0.1" in told.value.message
    assert "secret" not in str(told.value)


def test_a_password_that_breaks_the_address_is_told_nowhere(tmp_path: Path) -> None:
    source = SqlSource("q", "SELECT 1", "postgresql+psycopg://me:p@ss:w0rd@127.0.0.1/none")
    with pytest.raises(UsageError, match="%40") as told:
        list(source.fetch(None, tmp_path))
    assert "w0rd" not in "".join(traceback.format_exception(told.value))


def test_a_package_that_is_not_there_is_named_as_we_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(UsageError) as told:
        list(DeltaSource("plums").fetch(None, tmp_path))
    assert f"pip install '{project['optional-dependencies']['delta'][0]}'" in told.value.remedy


def test_what_moves_rows_of_a_delta_table_without_changing_them_brings_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deltalake = pytest.importorskip("deltalake")
    address, folder = str(tmp_path / "plums"), tmp_path_factory.mktemp
    for plum in ("a", "b"):
        deltalake.write_deltalake(address, SECOND.assign(plum=plum), mode="append")
    [first] = DeltaSource(address).fetch(None, folder("fetched"))
    deltalake.DeltaTable(address).optimize.compact()
    deltalake.DeltaTable(address).alter.set_table_properties({"delta.appendOnly": "false"})
    assert list(DeltaSource(address).fetch(first.position, folder("fetched"))) == []
    deltalake.write_deltalake(address, SECOND, mode="append")
    deltalake.DeltaTable(address).optimize.compact()
    [more] = DeltaSource(address).fetch(first.position, folder("fetched"))
    assert (rows([more]), more.again) == (told(SECOND), False)
    deltalake.DeltaTable(address).update(updates={"size": "9.0"}, predicate="plum = 'a'")
    [whole] = DeltaSource(address).fetch(more.position, folder("fetched"))
    assert (len(rows([whole])), whole.again) == (3, True)


def test_a_query_may_end_in_a_comment_and_rows_without_a_cursor_are_told_of(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    place = of_a_query(tmp_path)
    place.bring(FIRST.assign(day=["2026-01-01", None]))
    source = SqlSource("plums", "SELECT * FROM plums -- all", f"sqlite:///{tmp_path / 'db'}", "day")
    with caplog.at_level("WARNING", "mlops"):
        [first] = source.fetch(None, tmp_path_factory.mktemp("fetched"))
    assert len(read_table(first.file, Schema({}, "", "binary"))) == 2
    assert "1 of the query's rows have no day" in caplog.text
    place.bring(SECOND)
    [second] = source.fetch(first.position, tmp_path_factory.mktemp("fetched"))
    assert rows([second]) == told(SECOND)


@pytest.mark.parametrize(
    ("class_", "keys", "problem"),
    [
        (
            "journal.py:Journal",
            {"fold": "."},
            "data.source: got 'fold', allowed: what journal.py",
        ),
        ("journal.py:Diary", {}, "data.source.class: got 'journal.py:Diary', allowed: a function or class"),
        ("diary.py:Journal", {}, "data.source.class: got 'diary.py:Journal', allowed: a file of the project"),
    ],
)
def test_a_class_that_is_not_there_or_takes_other_keys_is_refused_by_name(
    tmp_path: Path, class_: str, keys: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        custom(tmp_path, **{**keys, "class": class_})


def test_what_a_class_raises_is_told_as_an_error_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("no json")
    with pytest.raises(DataError, match=r"journal\.py:Journal failed: .*Correct the class"):
        list(custom(tmp_path, folder=".").fetch(None, tmp_path))
