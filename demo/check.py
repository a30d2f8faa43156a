"""Recompute every number of the demo's table from what lies on disk, without the library's help.

The ledger is read with sqlite3, the prediction log and the labels as the JSON lines and
Parquet files they are, the loss by its formula. Only the first model's answers need the
library: they come from its bundle. Run it again any time: ``python demo/check.py``.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm, wasserstein_distance

__all__ = ["check", "unclosed"]

TOLERANCE = 1e-9


def check(folder: Path) -> list[str]:
    """Return a line for each number of ``.mlops/table.json`` that the files contradict."""
    home = folder / ".mlops"
    table = json.loads((home / "table.json").read_text("utf-8"))
    ledger = _ledger(home / "ledger.db")
    log = _log(home / "predictions")
    labels = _labels(home / "labels")
    wrong = []
    for row in table:
        start = pd.Timestamp(f"{row['month']}-01", tz="UTC")
        end = start + pd.offsets.MonthBegin()
        served = log[(log["time"] >= start) & (log["time"] < end)]
        told = served[served["key"].isin(labels.index)]
        late = labels.loc[told["key"]].to_numpy(dtype=bool)
        found = {
            "rows": len(served),
            "labelled": len(told),
            "loss": _log_loss(late, told["score"].to_numpy()),
            "first_loss": _log_loss(late, _first_scores(home, ledger, told)),
            "served": _shares(served["version"]),
            "drift": _drift(home, ledger, log, end),
            "decision": _decision(ledger, end),
        }
        wrong += _differences(row, found)
    return wrong


def unclosed(folder: Path, *, shuffled: bool) -> list[str]:
    """Return a line for each place at which the loop did not do what it is there for.

    Confirmed drift must have been answered; no champion may have been compared on rows that it was fitted
    on, and what ships must have seen those it was judged on; and where labels are noise, nothing that came
    after the first model can have been better.
    """
    ledger = _ledger(folder / ".mlops" / "ledger.db")
    answered = {e["cause"] for e in ledger if e["kind"] in {"retrain.finished", "retrain.refused"}}
    drifts = [e for e in ledger if e["kind"] == "drift.confirmed" and e["id"] not in answered]
    later = [e for e in ledger if e["kind"] == "model.promoted"][1:] if shuffled else []
    return [
        *_stale(folder / ".mlops" / "bundles", ledger),
        *(f"the drift confirmed as of {e['as_of'][:10]} was not answered" for e in drifts),
        *(f"version {e['body']['version']} was promoted on labels that are noise" for e in later),
    ]


def _stale(bundles: Path, ledger: list[dict[str, Any]]) -> list[str]:
    """Return the promotions by rows that the champion was fitted on, or of a model that did not see them."""
    digests = {entry["id"]: entry["body"]["digest"] for entry in ledger if "digest" in entry["body"]}

    def until(model: str) -> pd.Timestamp:
        lineage = json.loads((bundles / digests[model] / "lineage.json").read_text("utf-8"))
        return pd.Timestamp(lineage["fitted_until"])

    judged = [e for e in ledger if e["kind"] == "gate.judged" and e["body"]["window"]]
    return [
        *(
            f"version {e['body']['version']} was compared on rows that its champion was fitted on"
            for e in judged
            if e["body"]["promotion"]
            and pd.Timestamp(e["body"]["window"]["start"]) < until(e["body"]["promotion"])
        ),
        *(
            f"version {e['body']['version']} ships without the rows that it was judged on"
            for e in judged
            if e["body"]["promote"] and until(e["cause"]) < pd.Timestamp(e["body"]["window"]["end"])
        ),
    ]


def _differences(row: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [
        f"{row['month']}: {name} is {row[name]!r} in the table, {found[name]!r} by the files"
        for name in found
        if not _same(row[name], found[name])
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _ledger(path: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        entries = connection.execute("SELECT * FROM entries ORDER BY seq").fetchall()
    return [{**dict(entry), "body": json.loads(entry["body"])} for entry in entries]


def _log(folder: Path) -> pd.DataFrame:
    """Every prediction once: lines of open and closed segments, and what was compacted of the others."""
    written = list(folder.rglob("*.jsonl"))
    lines = [json.loads(line) for path in written for line in path.read_text("utf-8").splitlines()]
    segments = {path.stem for path in written}
    files = [path for path in folder.rglob("*.parquet") if path.stem not in segments]
    for path in files:
        lines += [json.loads(line) for line in pq.read_table(path, columns=["served"])["served"].to_pylist()]
    frame = pd.DataFrame(lines)
    frame["time"] = pd.to_datetime(frame["time"], utc=True, format="ISO8601")
    return frame


def _labels(folder: Path) -> pd.Series:
    """The newest label of each key."""
    told = pd.concat([pq.read_table(path).to_pandas() for path in folder.rglob("*.parquet")])
    told = told.sort_values("at", kind="stable").drop_duplicates("value", keep="last")
    return told.set_index("value")["label"].map(json.loads)


def _log_loss(labels: np.ndarray, score: np.ndarray) -> float:
    chance = np.clip(np.where(labels, score, 1 - score), 1e-15, 1.0)
    return float(-np.log(chance).mean())


def _first_scores(home: Path, ledger: list[dict[str, Any]], rows: pd.DataFrame) -> np.ndarray:
    from mlops.model import bundle
    from mlops.model.predictor import load
    from mlops.rows import parse_rows

    first = next(entry for entry in ledger if entry["kind"] == "model.promoted")
    opened = bundle.open(home / "bundles" / first["body"]["digest"], digest=first["body"]["digest"])
    columns = parse_rows(rows["features"].tolist(), opened.schema)
    return np.asarray(load(opened).predict(columns).scores)


def _at(ledger: list[dict[str, Any]], kinds: set[str], end: pd.Timestamp) -> dict[str, Any] | None:
    entries = [e for e in ledger if e["kind"] in kinds and e["as_of"] and pd.Timestamp(e["as_of"]) == end]
    return entries[-1] if entries else None


def _shares(versions: pd.Series) -> dict[str, float]:
    return {str(v): float((versions == v).mean()) for v in versions.unique()}


def _drift(home: Path, ledger: list[dict[str, Any]], log: pd.DataFrame, end: pd.Timestamp) -> dict[str, Any]:
    """Measure each column again, by scipy's own distances, against the thresholds in the ledger."""
    checked = _at(ledger, {"drift.checked"}, end)
    if checked is None:
        return {"confirmed": False, "follow_up": False, "drifted": 0, "judged": 0}
    report = checked["body"]["report"]
    start = pd.Timestamp(report["window"]["start"])
    window = log[(log["time"] >= start) & (log["time"] < end)]
    window = window[window["version"] == str(checked["body"]["version"])]
    current = pd.DataFrame(window["features"].tolist()).assign(prediction=window["score"].to_numpy())
    champion = next(entry for entry in ledger if entry["id"] == checked["cause"])
    bundle = home / "bundles" / champion["body"]["digest"]
    fitted, answers = (
        pq.read_table(bundle / name).to_pandas() for name in ("reference.parquet", "predictions.parquet")
    )
    reference = {**fitted, "prediction": answers["prediction"]}
    judged = [column for column in report["columns"] if column["verdict"] in {"ok", "drift"}]
    moved = [_distance(reference[c["column"]], current[c["column"]]) > c["threshold"] for c in judged]
    called = _at(ledger, {"drift.confirmed"}, end)
    follow_up = called is not None and called["body"]["follow_up"]
    return {
        "confirmed": called is not None and not follow_up,
        "follow_up": follow_up,
        "drifted": sum(moved),
        "judged": len(judged),
    }


def _distance(reference: pd.Series, current: pd.Series) -> float:
    if not pd.api.types.is_numeric_dtype(reference):
        old, new = (side[side.notna() & (side != "")] for side in (reference, current))
        names = sorted({*old, *new})
        shares = (side.value_counts(normalize=True).reindex(names, fill_value=0.0) for side in (old, new))
        return float(jensenshannon(*shares))
    old, new = reference.dropna().to_numpy(float), current.dropna().to_numpy(float)
    middle, spread = np.quantile(old, 0.5, method="inverted_cdf"), _spread(old)
    return float(wasserstein_distance(*(np.clip((side - middle) / spread, -5, 5) for side in (old, new))))


def _spread(values: np.ndarray) -> float:
    """The interquartile range, or where it is zero a wider one, as of N(0, 1)."""
    for tail in (0.25, 0.05, 0.01):
        low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
        if high > low:
            return float((high - low) / (-2 * norm.ppf(tail)))
    return float(np.abs(values - np.median(values)).mean())


def _decision(ledger: list[dict[str, Any]], end: pd.Timestamp) -> str:
    """What the ledger's promotions and deployments say happened, not what the retraining said of itself."""
    if _at(ledger, {"retrain.finished", "retrain.refused"}, end) is None:
        return "none asked"
    judged = _at(ledger, {"gate.judged"}, end)
    if judged is None:
        return "not retrained"
    promoted = any(e["kind"] == "model.promoted" and e["cause"] == judged["id"] for e in ledger)
    return f"{'promoted' if promoted else 'rejected'} {judged['body']['version']}"


if __name__ == "__main__":
    complaints = check(Path(__file__).parents[1] / ".demo")
    print(
        "\n".join(complaints) or "every number of the table follows from the log, the labels and the ledger"
    )
    sys.exit(1 if complaints else 0)
