"""Does the loop learn what changed? Retraining policies replayed on streams whose changes are known.

    .venv/bin/python benchmarks/judgement.py [--seeds N] [--stream NAME ...] [--out FILE]

Each stream is played by the same model and the same settings, made from how the stream lies in time and from
nothing else; the seeds were fixed before any policy was judged. Results are kept as they come, so that the
same command resumes; another state of the code starts anew. Writes a table in Markdown, and what a person
would have read of each stream.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from streams import MADE, RECORDED, SEEDS, STREAMS, Stream, UnavailableError

from mlops.config.durations import format_duration
from mlops.config.params import Params
from mlops.errors import MlopsError
from mlops.replay.fit_cache import Memory
from mlops.replay.fits import Fits
from mlops.replay.played import Played, Replayed
from mlops.replay.player import play
from mlops.replay.policies import parse_policy
from mlops.replay.timeline import Timeline
from mlops.training.out_of_fold import Recipe

HERE = Path(__file__).parent
KEPT = HERE.parent / ".mlops" / "judgement"
MODEL = {"max_iter": 60, "learning_rate": 0.15}
LEAST_ROWS = 200
"""Rows that a window, a gate and a retraining need: each step has more."""
WITHIN = 1.05
"""Times the loss of a model that is refitted at each step."""


_ABOUT = """\
# Retraining policies on streams

Made by `.venv/bin/python benchmarks/judgement.py`; [README.md](README.md) says what the streams are. Losses
are means over all rows that were served: log loss, of a regression the squared error. *Bayes* is the best
possible prediction's, where it is known. *Trainings* do not count the first model. *Gap closed* is the
share of what `always` (a refit at each step, no gate) gains over `never`. *Windows to learn* has a number
for each abrupt change: how many windows were served, once its first labels were in, until the loss stayed
within 5% of that of `always`."""


_READINGS = """\
# What a person would have read

Made by `.venv/bin/python benchmarks/judgement.py`: what the policy `on_drift` said of the windows of each
stream and of its retrainings. Calm windows in a row are one line, with the sentence of the last."""


def params_of(stream: Stream) -> Params:
    """Return the settings a stream is judged with: its spans, the rest as `mlops init` proposes it."""
    spans = stream.spans
    late = format_duration(stream.label_delay)
    return Params.model_validate(
        {
            "data": {
                "name": "stream",
                "target": stream.target,
                "time": "at",
                "key": "key",
                "features": dict(stream.features),
            },
            "model": {"builder": "recipe.py", "task": stream.task, "params": MODEL},
            "train": {name: format_duration(getattr(spans, name)) for name in ("window", "holdout", "gap")},
            "gate": {"min_rows": LEAST_ROWS},
            "monitor": {
                "window": format_duration(spans.step),
                "label_maturity": late,
                "min_rows": LEAST_ROWS,
                "confirm": 1,
                "of": 1,
            },
            "retrain": {"min_rows": LEAST_ROWS, "cooldown": format_duration(2 * spans.step)},
        }
    )


def policies_of(stream: Stream) -> list[str]:
    """Name the policies: the two ends, what the loop does, and a schedule of half as many trainings."""
    return ["never", "always", "on_drift", f"every={format_duration(2 * stream.step)}"]


def played(stream: Stream) -> Replayed:
    """Play every policy over a stream."""
    params = params_of(stream)
    timeline = Timeline(stream.rows, stream.schema, stream.label_delay)
    recipe = Recipe((HERE / "recipe.py").read_bytes(), "recipe.py", MODEL, 0)
    fits = Fits(timeline, recipe, Memory())
    newest = stream.rows["at"].iloc[-1].to_pydatetime()
    edges = [stream.first_step + stream.label_delay]  # the labels of the first model's rows have come
    while edges[-1] + stream.step <= newest:
        edges.append(edges[-1] + stream.step)
    results = [
        play(parse_policy(name, params), timeline, params, fits, edges=edges) for name in policies_of(stream)
    ]
    return Replayed(params.gate.metric, tuple(results))


def figures(stream: Stream, result: Replayed) -> dict[str, Any]:
    """Return what the table says of a stream."""
    never, always, loop, schedule = result.policies
    return {
        "changes": [[change.kind, change.at.isoformat()] for change in stream.changes],
        "rows": len(stream.rows),
        "steps": len(never.steps),
        "bayes": bayes(stream, never),
        "losses": [one.loss for one in result.policies],
        "trainings": [one.trainings for one in result.policies],
        "promotions": [one.promotions for one in result.policies],
        "closed": [result.gap_closed(loop), result.gap_closed(schedule)],
        "lags": [lags(stream, loop, always), lags(stream, schedule, always)],
        "decisions": [[one.as_of.isoformat(), one.kind, one.sentence] for one in loop.decisions],
    }


def bayes(stream: Stream, one: Played) -> float | None:
    """Return the mean loss of the best possible prediction over what was served; None where unknown."""
    if stream.bayes_loss is None:
        return None
    times = stream.rows["at"]
    served = (times >= one.steps[0].start) & (times < one.steps[-1].end)
    return float(stream.bayes_loss[served.to_numpy()].mean())


def lags(stream: Stream, policy: Played, always: Played) -> list[int | None]:
    """Return for each abrupt change how many windows passed, its first labels in, until it was learnt.

    From then on every window's loss is within `WITHIN` of that of a refit at each step, until the next change
    or the end. None where it never is.
    """
    abrupt = [change.at for change in stream.changes if change.at == change.until and change.kind != "unit"]
    ends = [*abrupt[1:], datetime.max.replace(tzinfo=abrupt[0].tzinfo)] if abrupt else []
    return [_lag(policy, always, at + stream.label_delay, end) for at, end in zip(abrupt, ends, strict=True)]


def _lag(policy: Played, always: Played, known: datetime, end: datetime) -> int | None:
    pairs = [
        (one.loss, other.loss)
        for one, other in zip(policy.steps, always.steps, strict=True)
        if known <= one.start and one.end <= end
    ]
    apart = [
        number
        for number, (loss, other) in enumerate(pairs)
        if loss is not None and other is not None and loss > WITHIN * other
    ]
    number = apart[-1] + 1 if apart else 0
    return number if number < len(pairs) else None


def table(results: dict[str, dict[str, Any]], seeds: int) -> str:
    """Return the results as Markdown."""
    head = [
        *("stream", "Bayes", "never", "always", "on_drift", "every 2nd"),
        "trainings (always, on_drift, every 2nd)",
        "gap closed (on_drift, every 2nd)",
        "windows to learn (on_drift)",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    order = list(STREAMS)
    keys = sorted(results, key=lambda key: (order.index(key.split("/")[0]), key))
    lines += ["| " + " | ".join(_cells(key, results[key])) + " |" for key in keys]
    return "\n".join(
        [_ABOUT, "", *_goals(results), "", *lines, "", f"Seeds: {', '.join(map(str, SEEDS[:seeds]))}."]
    )


def _cells(name: str, one: dict[str, Any]) -> list[str]:
    if "error" in one:
        return [name, one["error"], *[""] * 7]
    closed = ["-" if share is None else f"{share:.0%}" for share in one["closed"]]
    lag = ["never" if number is None else str(number) for number in one["lags"][0]]
    return [
        name,
        "" if one["bayes"] is None else f"{one['bayes']:.4f}",
        *(f"{loss:.4f}" for loss in one["losses"]),
        ", ".join(map(str, one["trainings"][1:])),
        ", ".join(closed),
        ", ".join(lag),
    ]


def _goals(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield how many streams reach each goal."""
    known = {key: one for key, one in results.items() if "error" not in one}
    # Where retraining at each step gains less than a hundredth, there is no gap to close.
    moved = {key: one for key, one in known.items() if one["losses"][1] < 0.99 * one["losses"][0]}
    calm = {key: one for key, one in known.items() if key not in moved}
    good = {
        key
        for key, one in moved.items()
        if one["closed"][0] >= 0.8 and 2 * one["trainings"][2] <= one["trainings"][1]
    }
    steady = {key for key, one in calm.items() if one["losses"][2] <= 1.01 * one["losses"][0]}
    numbers = [lag for one in known.values() for lag in one["lags"][0]]
    learnt = sum(lag is not None and lag <= 2 for lag in numbers)
    yield "| goal | reached | not reached |"
    yield "|---|---:|---|"
    yield _goal("80% of the gap closed with at most half of always' trainings", good, moved)
    yield _goal("at most 1.01 x never where retraining gains nothing", steady, calm)
    yield f"| an abrupt change learnt in at most two windows | {learnt} of {len(numbers)} | |"


def _goal(title: str, good: set[str], among: dict[str, Any]) -> str:
    return f"| {title} | {len(good)} of {len(among)} | {', '.join(key for key in among if key not in good)} |"


def readings(results: dict[str, dict[str, Any]]) -> str:
    """Return what a person would have read of each stream under `on_drift`, as Markdown."""
    lines = [_READINGS]
    for key, one in results.items():
        if "error" in one:
            continue
        lines += ["", f"## {key}", ""]
        for number, sentence, at in _condensed(one["decisions"]):
            times = f"{number} windows to {at}" if number > 1 else at
            lines.append(f"- {times}: {sentence}")
    return "\n".join(lines)


def _condensed(decisions: list[list[str]]) -> Iterator[tuple[int, str, str]]:
    """Yield each sentence with its date, a run of calm windows as their number and the last sentence."""
    run = 0
    for place, (as_of, kind, sentence) in enumerate(decisions):
        following = decisions[place + 1] if place + 1 < len(decisions) else ("", "", "")
        run += 1
        if not (_is_calm(kind, sentence) and _is_calm(*following[1:])):
            yield run, sentence.replace("\n", " "), as_of[:10]
            run = 0


def _is_calm(kind: str, sentence: str) -> bool:
    return kind == "window" and sentence.startswith("No drift") and "A follow-up is due" not in sentence


def commit() -> str:
    """Name the state of the code."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main() -> None:
    """Play the streams that were not played yet by this state of the code, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--stream", action="append", choices=list(STREAMS))
    parser.add_argument("--out", type=Path, default=HERE / "judgement.md")
    parser.add_argument("--readings", type=Path, default=HERE / "results" / "judgement_readings.md")
    words = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{commit()}.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    results: dict[str, dict[str, Any]] = {}
    for line in lines:
        results |= json.loads(line)
    names = words.stream or list(STREAMS)
    wanted = [(name, seed) for seed in SEEDS[: words.seeds] for name in names if name in MADE]
    wanted += [(name, SEEDS[0]) for name in names if name in RECORDED]
    for number, (name, seed) in enumerate(wanted, 1):
        key = f"{name}/{seed}" if name in MADE else name
        if key in results:
            continue
        start = time.perf_counter()
        try:
            stream = STREAMS[name](seed)
            one = figures(stream, played(stream))
        except (UnavailableError, MlopsError) as exc:
            one = {"error": str(exc)}
        results[key] = one
        with file.open("a") as kept:
            kept.write(json.dumps({key: one}) + "\n")
        seconds = time.perf_counter() - start
        print(
            f"{number}/{len(wanted)} {key}: {_cells(key, one)[1:]} {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        words.out.write_text(table(results, words.seeds) + "\n", "utf-8")
        words.readings.write_text(readings(results) + "\n", "utf-8")


if __name__ == "__main__":
    main()
