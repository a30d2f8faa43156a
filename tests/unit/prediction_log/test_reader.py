from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from mlops.errors import UnavailableError
from mlops.prediction_log import reader
from mlops.prediction_log.reader import compact, find, ids, newest, read
from mlops.prediction_log.segment import remove_unused
from mlops.prediction_log.writer import PredictionLog
from mlops.schema import Schema

SCHEMA = Schema(
    {"size": "number", "colour": "category", "new": "boolean"}, "ripe", "binary", "picked", "plum"
)
START = datetime(2013, 1, 30, tzinfo=UTC)


def record(i: int, **other: Any) -> dict[str, Any]:
    return {
        "id": f"{i:032x}",
        "key": f"plum-{i}",
        "time": (START + timedelta(days=i)).isoformat(),
        "at": "2020-01-01T00:00:00+00:00",
        "deployment": "d1",
        "version": "3",
        "features": {"size": i, "colour": "red" if i % 2 else None, "new": None if i % 3 else True},
        "prediction": i % 2,
        "score": 0.25,
        **other,
    }


def other(schema: Schema, task: str) -> Schema:
    return Schema(schema.features, schema.target, task, schema.time, schema.key)


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return PredictionLog(tmp_path, "d1")


def test_reading_is_the_same_before_and_after_compaction(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(i) for i in range(5)])
    live = read(tmp_path, SCHEMA)
    log.close()
    closed = read(tmp_path, SCHEMA)
    assert compact(tmp_path, SCHEMA) == reader.Compacted(1, 5, 0)
    stored = read(tmp_path, SCHEMA)
    pd.testing.assert_frame_equal(live, closed)
    pd.testing.assert_frame_equal(live, stored)
    assert sorted(path.parent.name for path in tmp_path.glob("parquet/*/*.parquet")) == ["2013-01", "2013-02"]
    assert not list(tmp_path.rglob("*.jsonl"))
    assert live["colour"].tolist() == ["", "red", "", "red", ""]
    assert live["new"].fillna(-1).tolist() == [1.0, -1.0, -1.0, 1.0, -1.0]
    assert live["prediction"].tolist() == [0, 1, 0, 1, 0]


def test_a_log_that_is_not_there_reads_as_empty(tmp_path: Path) -> None:
    assert compact(tmp_path / "none", SCHEMA).segments == 0
    frame = read(tmp_path / "none", SCHEMA)
    assert frame.empty
    assert list(frame)[:3] == ["id", "key", "time"]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_window_holds_its_start_and_not_its_end(
    log: PredictionLog, tmp_path: Path, compacted: bool
) -> None:
    log.write([record(i) for i in range(5)])
    log.close()
    if compacted:
        compact(tmp_path, SCHEMA)
    window = read(tmp_path, SCHEMA, START + timedelta(days=1), START + timedelta(days=3))
    assert window["key"].tolist() == ["plum-1", "plum-2"]


def test_a_row_without_event_time_counts_when_it_was_recorded(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(1, time=None)])
    assert read(tmp_path, SCHEMA)["time"].tolist() == [pd.Timestamp("2020-01-01", tz="UTC")]


@pytest.mark.parametrize(
    ("task", "prediction", "score"),
    [
        ("binary", True, 0.5),
        ("binary", "yes", 0.5),
        ("multiclass", 2, [0.1, 0.2, 0.7]),
        ("regression", 1.25, None),
    ],
)
def test_an_answer_of_every_task_comes_back_as_it_was(
    log: PredictionLog, tmp_path: Path, task: str, prediction: Any, score: Any
) -> None:
    schema = other(SCHEMA, task)
    log.write([record(1, prediction=prediction, score=score)])
    log.close()
    for _ in ("lines", "parquet"):
        found = read(tmp_path, schema)
        assert repr(found["prediction"].tolist()) == repr([prediction])
        assert found["score"].isna().all() if score is None else found["score"].tolist() == [score]
        compact(tmp_path, schema)


def test_labels_one_and_true_are_kept_apart(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(1, prediction=1), record(2, prediction=True), record(3, prediction="1")])
    assert [repr(value) for value in read(tmp_path, SCHEMA)["prediction"]] == ["1", "True", "'1'"]


def test_the_newest_time_is_the_last_that_a_row_brought_before_a_moment(
    log: PredictionLog, tmp_path: Path
) -> None:
    assert newest(tmp_path, before=START) is None
    log.write([record(0), record(1), record(2, time=None), record(40), record(400_000)])
    ends = [START + timedelta(days=days) for days in (0, 1, 2, 30, 60)]
    wanted = [None, *(START + timedelta(days=days) for days in (0, 1, 1, 40))]
    assert [newest(tmp_path, before=end) for end in ends] == wanted
    log.close()
    compact(tmp_path, SCHEMA)
    log.write([record(3)])  # and one is live
    live = START + timedelta(days=3)
    assert [newest(tmp_path, before=end) for end in ends] == [*wanted[:3], live, wanted[4]]


def test_the_newest_time_is_found_without_a_look_at_earlier_months(
    log: PredictionLog, tmp_path: Path
) -> None:
    log.write([record(0), record(40)])
    log.close()
    compact(tmp_path, SCHEMA)
    [early] = tmp_path.glob("parquet/2013-01/*.parquet")
    early.write_bytes(b"nobody reads this")
    assert newest(tmp_path, before=START + timedelta(days=60)) == START + timedelta(days=40)


def test_a_torn_last_line_is_left_out_and_counted(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(1), record(2)])
    log.close()
    (segment,) = tmp_path.glob("closed/*.jsonl")
    segment.write_bytes(segment.read_bytes()[:-20])
    before = read(tmp_path, SCHEMA)
    assert (len(before), before.attrs["torn"]) == (1, 1)
    assert compact(tmp_path, SCHEMA).torn == 1
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-1"]


def test_the_segment_of_a_living_writer_is_left_alone(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(1)])
    assert compact(tmp_path, SCHEMA).segments == 0
    log.write([record(2)])
    assert len(read(tmp_path, SCHEMA)) == 2


def test_the_segment_of_a_killed_writer_is_compacted(tmp_path: Path) -> None:
    code = (
        "import sys, time, orjson; from pathlib import Path\n"
        "from mlops.prediction_log.writer import PredictionLog\n"
        "log = PredictionLog(Path(sys.argv[1]), 'd1'); log.write([orjson.loads(sys.argv[2])])\n"
        "print('written', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), orjson.dumps(record(1)).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert compact(tmp_path, SCHEMA).segments == 0
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert compact(tmp_path, SCHEMA).rows == 1
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-1"]


def test_a_full_segment_is_closed_and_another_begun(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "d1", roll_bytes=1000)
    for i in range(20):
        log.write([record(i)])
    assert len(list(tmp_path.glob("closed/*"))) > 2
    assert read(tmp_path, SCHEMA)["key"].tolist() == [f"plum-{i}" for i in range(20)]


def test_a_compaction_killed_between_two_months_is_done_again(
    log: PredictionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write([record(i) for i in range(5)])
    log.close()
    whole, write = read(tmp_path, SCHEMA), reader.parquet.write

    def once(table: Any, path: Path) -> None:
        if list(tmp_path.glob("parquet/*/*.parquet")):
            raise KeyboardInterrupt
        write(table, path)

    with monkeypatch.context() as patch:
        patch.setattr(reader.parquet, "write", once)
        with pytest.raises(KeyboardInterrupt):
            compact(tmp_path, SCHEMA)
    pd.testing.assert_frame_equal(read(tmp_path, SCHEMA), whole)
    compact(tmp_path, SCHEMA)
    pd.testing.assert_frame_equal(read(tmp_path, SCHEMA), whole)


def test_what_a_killed_compaction_left_is_swept(log: PredictionLog, tmp_path: Path) -> None:
    litter = tmp_path / "parquet/2013-01/.d1-1-1.parquet.99.tmp"
    litter.parent.mkdir(parents=True)
    litter.touch()
    compact(tmp_path, SCHEMA)
    assert not litter.exists()


def test_readers_beside_writers_and_compactions_see_every_row_once(tmp_path: Path) -> None:
    log, done = PredictionLog(tmp_path, "d1", roll_bytes=2000), threading.Event()
    written = 0

    def compacting() -> None:
        while not done.is_set():
            compact(tmp_path, SCHEMA)

    thread = threading.Thread(target=compacting)
    thread.start()
    try:
        for i in range(120):
            log.write([record(i)])
            written += 1
            if i % 6 == 0:
                keys = read(tmp_path, SCHEMA)["key"].tolist()
                assert keys == [f"plum-{j}" for j in range(written)]
    finally:
        done.set()
        thread.join()


def test_what_was_served_under_another_schema_is_read_under_this_one(
    log: PredictionLog, tmp_path: Path
) -> None:
    log.write([record(3)])
    log.close()
    compact(tmp_path, Schema({"size": "number"}, "ripe", "binary"))
    later = Schema({"size": "category", "colour": "category", "shape": "number"}, "ripe", "binary")
    row = read(tmp_path, later).iloc[0]
    assert (row["size"], row["colour"]) == ("3", "red")
    assert pd.isna(row["shape"])


def test_what_was_served_before_a_kind_was_corrected_is_what_it_was(
    log: PredictionLog, tmp_path: Path
) -> None:
    served = [{"size": 7.0, "colour": "1.5"}, {"size": 8.5, "colour": "red"}, {"size": None, "colour": None}]
    log.write([record(i, features={**features, "new": True}) for i, features in enumerate(served)])
    corrected = Schema({"size": "category", "colour": "number", "new": "text"}, "ripe", "binary")
    live = read(tmp_path, corrected)
    log.close()
    compact(tmp_path, SCHEMA)
    pd.testing.assert_frame_equal(read(tmp_path, corrected), live)
    assert (live["size"].tolist(), live["new"].tolist()) == (["7", "8.5", ""], ["1"] * 3)
    assert live["colour"].isna().tolist() == [False, True, True]
    assert live["colour"].iloc[0] == 1.5


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_what_was_served_for_another_task_is_read_for_this_one(
    log: PredictionLog, tmp_path: Path, task: str
) -> None:
    log.write([record(1, prediction="yes", score=[0.1, 0.9])])
    log.close()
    compact(tmp_path, SCHEMA)
    row = read(tmp_path, other(SCHEMA, task)).iloc[0]
    assert pd.isna(row["prediction"]) if task == "regression" else row["score"] == [0.1, 0.9]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_prediction_is_found_by_its_id_as_it_was_written(
    log: PredictionLog, tmp_path: Path, compacted: bool
) -> None:
    log.write([record(i) for i in range(5)])
    log.close()
    if compacted:
        compact(tmp_path, SCHEMA)
    assert find(tmp_path, record(3)["id"]) == record(3)
    assert find(tmp_path, "none") is None
    assert ids(tmp_path) == {record(i)["id"] for i in range(5)}
    assert ids(tmp_path, by="key") == {f"plum-{i}" for i in range(5)}


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("a file where a folder should be")
    for attempt in (
        lambda: PredictionLog(tmp_path, "d1").write([record(1)]),
        PredictionLog(tmp_path, "d1").check,
    ):
        with pytest.raises(UnavailableError, match="prediction log"):
            attempt()


def test_a_row_written_in_part_is_taken_back(
    log: PredictionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write([record(1)])
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:40]))
        with pytest.raises(UnavailableError, match="partial write"):
            log.write([record(2)])
    log.write([record(3)])
    frame = read(tmp_path, SCHEMA)
    assert frame["key"].tolist() == ["plum-1", "plum-3"]
    assert frame.attrs["torn"] == 0


def test_a_segment_removed_under_its_writer_is_begun_again(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(1)])
    shutil.rmtree(tmp_path / "open")
    log.write([record(2)])
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-2"]


def test_rows_of_several_threads_are_whole(log: PredictionLog, tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=lambda k=k: [log.write([record(k * 50 + i)]) for i in range(50)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(tmp_path)) == [record(i)["id"] for i in range(200)]


def test_the_writer_needs_nothing_the_image_lacks() -> None:
    code = (
        "import sys; import mlops.prediction_log.writer, mlops.schema\n"
        "print([m for m in ('pandas', 'pyarrow', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"[]"


def test_dates_and_the_event_time_as_a_feature_are_read_back_as_times(tmp_path: Path) -> None:
    schema = Schema({"due": "date", "time": "date", "note": "text"}, "late", "binary", time="time")
    log = PredictionLog(tmp_path, "d1")
    at = datetime(2024, 3, 1, tzinfo=UTC).isoformat()
    said = {"key": None, "at": at, "deployment": "d1", "version": "1", "prediction": True, "score": 0.9}
    for id, due in (("a", "2024-02-29T18:30:00+02:00"), ("b", None)):
        features = {"due": due, "time": "2024-02-28", "note": "by mail"}
        log.write([{**said, "id": id, "time": "2024-02-28T00:00:00+00:00", "features": features}])
    before = read(tmp_path, schema)
    log.close()
    compact(tmp_path, schema)
    for rows in (before, read(tmp_path, schema)):
        assert rows["due"].tolist()[0] == pd.Timestamp("2024-02-29T16:30:00Z")
        assert rows["due"].isna().tolist() == [False, True]
        assert set(rows["time"]) == {pd.Timestamp("2024-02-28T00:00:00Z")}
        assert set(rows["note"]) == {"by mail"}


def test_a_writer_that_sees_its_own_folder_alone_loses_no_segment(tmp_path: Path) -> None:
    """As in a container: what it can rename it renames, and the rest is closed without its lock."""
    log = PredictionLog(tmp_path, "d1", roll_bytes=1)
    (tmp_path / "closed").write_text("no folder for it")
    for number in range(3):
        log.write([record(number)])
    log.close()
    assert len(list(tmp_path.glob("open/d1/*.jsonl"))) == 3
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-0", "plum-1", "plum-2"]
    (tmp_path / "closed").unlink()
    assert compact(tmp_path, SCHEMA).rows == 3
    assert list(tmp_path.glob("open/d1/*")) == []
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-0", "plum-1", "plum-2"]


def test_the_segments_of_two_deployments_lie_apart(tmp_path: Path) -> None:
    for deployment in ("d1", "d2"):
        PredictionLog(tmp_path, deployment).write([record(1)])
    assert [path.name for path in sorted((tmp_path / "open").iterdir())] == ["d1", "d2"]


@pytest.mark.parametrize("compacted", [False, True])
def test_what_a_container_may_have_put_into_its_folder_is_not_followed(
    log: PredictionLog, tmp_path: Path, compacted: bool
) -> None:
    """A link to a file of the machine, a pipe to wait at, and a name that is another deployment's."""
    log.write([record(1)])
    log.close()
    if compacted:
        compact(tmp_path, SCHEMA)
    (ours,) = [*tmp_path.glob("closed/*.jsonl"), *tmp_path.glob("parquet/*/*.parquet")]
    theirs = tmp_path / "open" / "d9"
    theirs.mkdir()
    (tmp_path / "secret").write_text('{"secret": 1}\n')
    (theirs / "d9-1-1.jsonl").symlink_to(tmp_path / "secret")
    os.mkfifo(theirs / "d9-1-2.jsonl")
    (theirs / f"{ours.stem}.jsonl").write_text("{}\n")
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-1"]
    compact(tmp_path, SCHEMA)
    assert read(tmp_path, SCHEMA)["key"].tolist() == ["plum-1"]
    assert read(tmp_path, SCHEMA).attrs["torn"] == 0
    assert len(list(theirs.iterdir())) == 3


def test_a_segment_exchanged_as_it_was_taken_is_dropped(log: PredictionLog, tmp_path: Path) -> None:
    log.write([record(1)])
    log.close()
    (tmp_path / "secret").write_text('{"secret": 1}\n')
    (tmp_path / "closed" / "d9-1-1.jsonl").symlink_to(tmp_path / "secret")
    assert compact(tmp_path, SCHEMA).rows == 1
    assert (tmp_path / "secret").exists()
    assert list((tmp_path / "closed").iterdir()) == []


def test_the_folder_of_a_service_that_is_gone_goes_once_it_is_empty(tmp_path: Path) -> None:
    for deployment in ("runs", "gone", "full"):
        PredictionLog(tmp_path, deployment).write([record(1)])
    for folder in ("runs", "gone"):
        for path in (tmp_path / "open" / folder).iterdir():
            path.unlink()
    remove_unused(tmp_path, {"runs"})
    assert sorted(path.name for path in (tmp_path / "open").iterdir()) == ["full", "runs"]
