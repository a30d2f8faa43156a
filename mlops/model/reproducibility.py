"""Whether a model was reproduced; where it was not, the first of its inputs that differs.

Two bundles of one digest are the same bytes. Where bytes differ, what counts is what both predict for the
held-out rows; and where those differ, the inputs are compared in the order in which they take
effect: the data, the parameters, the model's module, the lock, the packages and Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlops.model.bundle import Bundle
from mlops.task_types.predictions import Predictions

__all__ = [
    "Difference",
    "Outcome",
    "PredictionDifference",
    "Reproduction",
    "compare_predictions",
    "differences",
    "judge",
]

Outcome = Literal["bytes", "predictions", "inputs", "unexplained"]
_SHOWN = 40
_PYTHON = "python"


@dataclass(frozen=True)
class Difference:
    """One input that is not what it was.

    Parameters
    ----------
    what
        As a person knows it: ``the data``, ``model.params.max_depth``, ``numpy``.
    was, now
        Of the registered bundle, and of the one made again; bounded text.
    """

    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.what} was {self.was} and is {self.now}"


@dataclass(frozen=True)
class PredictionDifference:
    """How two models' predictions for the same rows differ.

    Parameters
    ----------
    rows
        How many were predicted.
    differing
        How many got another label, score or value.
    largest
        The largest difference of a score or value; of labels alone, 1.
    """

    rows: int
    differing: int
    largest: float


@dataclass(frozen=True)
class Reproduction:
    """The result of reproducing a version.

    Parameters
    ----------
    outcome
        ``bytes``: the same digest. ``predictions``: other bytes, the same predictions on every held-out row.
        ``inputs``: another model, and an input that differs. ``unexplained``: another model from the
        same inputs, as far as they are recorded.
    sentence
        For a person.
    differences
        All inputs that differ, in order.
    """

    outcome: Outcome
    sentence: str
    digest: str
    rebuilt: str
    differences: tuple[Difference, ...] = ()
    predictions: PredictionDifference | None = None

    @property
    def identical(self) -> bool:
        """Whether the model is the same, in its bytes or in its predictions."""
        return self.outcome in ("bytes", "predictions")

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {
            "identical": self.identical,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "digest": self.digest,
            "rebuilt": self.rebuilt,
            "differences": [one.__dict__ for one in self.differences],
            "predictions": self.predictions and self.predictions.__dict__,
        }


def differences(
    registered: Bundle, rebuilt: Bundle, *, unlocked: Mapping[str, tuple[str, str]]
) -> Iterator[Difference]:
    """Yield the inputs of two bundles that differ, in the order in which they take effect.

    Parameters
    ----------
    unlocked
        Package → its version in requirements.lock and the one installed, where these differ. It
        speaks for a package of which the registered bundle tells no version; what else is
        installed otherwise than locked was so in training, too, for all that is known.
    """
    then, now = registered.lineage, rebuilt.lineage
    if then["data"] != now["data"]:
        yield Difference("the data (data/lake)", _short(then["data"]), _short(now["data"]))
    was, are = dict(_flat(then["params"])), dict(_flat(now["params"]))
    for path in [*was, *(path for path in are if path not in was)]:
        if (one := was.get(path, "not set")) != (other := are.get(path, "not set")):
            yield Difference(f"{path} of params.yaml", _short(one), _short(other))
    for name, what in (("module", str(are.get("model.builder"))), ("lock", "requirements.lock")):
        if then[name] != now[name]:
            yield Difference(what, then[name][:12], now[name][:12])
    before, present = registered.model.versions, rebuilt.model.versions
    # Python last: it is what a person changes least.
    for package in sorted(present, key=lambda name: (name == _PYTHON, name)):
        if package in before and before[package] != present[package]:
            yield Difference(package, f"{before[package]} (model.json)", present[package])
    for package in sorted(present.keys() & unlocked.keys() - before.keys()):
        locked, installed = unlocked[package]
        yield Difference(package, f"{locked} (requirements.lock)", f"{installed} (installed)")


def compare_predictions(one: Predictions, other: Predictions) -> PredictionDifference:
    """Compare the predictions of two models for the same rows, exactly."""
    pairs = list(zip(_parts(one), _parts(other), strict=True))
    moved = [a != b for a, b in pairs]
    distances = [_distance(a, b) for (a, b), differs in zip(pairs, moved, strict=True) if differs]
    return PredictionDifference(len(pairs), sum(moved), max(distances, default=0.0))


def judge(
    registered: Bundle, rebuilt: Bundle, inputs: Sequence[Difference], predicted: PredictionDifference | None
) -> Reproduction:
    """Say whether two bundles are the same model.

    Parameters
    ----------
    inputs
        What `differences` yielded.
    predicted
        Both models' predictions for the rebuilt holdout; None where one of the models does
        not load here.
    """
    pair: dict[str, Any] = {"digest": registered.digest, "rebuilt": rebuilt.digest}
    if registered.digest == rebuilt.digest:
        return Reproduction("bytes", f"Identical: the same bundle, {registered.digest[:12]}.", **pair)
    facts: dict[str, Any] = {**pair, "differences": tuple(inputs), "predictions": predicted}
    because = f"; {inputs[0]}" if inputs else ""
    # Other data, other held-out rows: that both models predict these alike proves nothing.
    same_rows = registered.lineage["data"] == rebuilt.lineage["data"]
    if predicted is not None and predicted.differing == 0 and predicted.rows and same_rows:
        sentence = (
            f"Identical predictions: all {predicted.rows:,} held-out rows are predicted the same, "
            f"though the bytes differ ({', '.join(_files(registered, rebuilt))}{because})."
        )
        return Reproduction("predictions", sentence, **facts)
    moved = (
        f"{predicted.differing:,} of {predicted.rows:,} held-out rows are predicted differently, "
        f"by {predicted.largest:.3g} at most"
        if predicted is not None and same_rows
        else "the predictions cannot be compared"
    )
    if inputs:
        others = f" {len(inputs) - 1} more inputs differ." if len(inputs) > 1 else ""
        return Reproduction("inputs", f"Different: {inputs[0]}; {moved}.{others}", **facts)
    sentence = f"Different, though every recorded input is the same: {moved}."
    return Reproduction("unexplained", sentence, **facts)


def _files(one: Bundle, other: Bundle) -> list[str]:
    """Name the files of two bundles that differ."""
    was, now = (json.loads(each.read("manifest.json"))["files"] for each in (one, other))
    return sorted(name for name in {*was, *now} if was.get(name) != now.get(name))


def _parts(predictions: Predictions) -> list[tuple[Any, Any]]:
    scores = predictions.scores if predictions.scores is not None else [None] * len(predictions)
    return list(zip(predictions.values, scores, strict=True))


def _distance(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """Return how much two predictions differ: by their scores, else by their values, else 1."""
    for was, now in zip(reversed(one), reversed(other), strict=True):
        if isinstance(was, float | list) and isinstance(now, float | list) and was != now:
            a, b = np.atleast_1d(was), np.atleast_1d(now)
            return float(np.abs(a - b).max()) if a.shape == b.shape else 1.0
    return 1.0


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", each


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
