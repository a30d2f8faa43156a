"""Whether a model was made again, and the first of what it was made from that differs where it was not.

Two bundles of one digest are the same bytes. Where bytes differ, what counts is how both answer the
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

__all__ = ["Apart", "Difference", "Outcome", "Reproduction", "apart", "differences", "judge"]

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
class Apart:
    """How two models answered the same rows.

    Parameters
    ----------
    rows
        How many were asked.
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
    """What came of making a version again.

    Parameters
    ----------
    outcome
        ``bytes``: the same digest. ``answers``: other bytes, the same answers on every held-out row.
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
    apart: Apart | None = None

    @property
    def identical(self) -> bool:
        """Whether the model is the same, in its bytes or in its answers."""
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
            "apart": self.apart and self.apart.__dict__,
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


def apart(one: Predictions, other: Predictions) -> Apart:
    """Compare the answers that two models gave to the same rows, exactly."""
    pairs = list(zip(_parts(one), _parts(other), strict=True))
    moved = [a != b for a, b in pairs]
    distances = [_distance(a, b) for (a, b), differs in zip(pairs, moved, strict=True) if differs]
    return Apart(len(pairs), sum(moved), max(distances, default=0.0))


def judge(
    registered: Bundle, rebuilt: Bundle, found: Sequence[Difference], predicted: Apart | None
) -> Reproduction:
    """Say whether two bundles are the same model.

    Parameters
    ----------
    found
        What `differences` told.
    answered
        Both models on the rebuilt holdout; None where they cannot be compared, as where one does
        not load here.
    """
    pair: dict[str, Any] = {"digest": registered.digest, "rebuilt": rebuilt.digest}
    if registered.digest == rebuilt.digest:
        return Reproduction("bytes", f"Identical: the same bundle, {registered.digest[:12]}.", **pair)
    told: dict[str, Any] = {**pair, "differences": tuple(found), "apart": predicted}
    because = f"; {found[0]}" if found else ""
    # Other data, other held-out rows: that both models answer these alike proves nothing.
    same_rows = registered.lineage["data"] == rebuilt.lineage["data"]
    if predicted is not None and predicted.differing == 0 and predicted.rows and same_rows:
        sentence = (
            f"Identical in its answers: every one of {predicted.rows:,} held-out rows is answered the same, "
            f"though the bytes differ ({', '.join(_files(registered, rebuilt))}{because})."
        )
        return Reproduction("predictions", sentence, **told)
    moved = (
        f"{predicted.differing:,} of {predicted.rows:,} held-out rows are answered differently, "
        f"by {predicted.largest:.3g} at most"
        if predicted is not None and same_rows
        else "the answers cannot be compared"
    )
    if found:
        others = f" {len(found) - 1} more inputs differ." if len(found) > 1 else ""
        return Reproduction("inputs", f"Different: {found[0]}; {moved}.{others}", **told)
    sentence = f"Different, though every recorded input is the same: {moved}."
    return Reproduction("unexplained", sentence, **told)


def _files(one: Bundle, other: Bundle) -> list[str]:
    """Name the files of two bundles that differ."""
    was, now = (json.loads(each.read("manifest.json"))["files"] for each in (one, other))
    return sorted(name for name in {*was, *now} if was.get(name) != now.get(name))


def _parts(predictions: Predictions) -> list[tuple[Any, Any]]:
    scores = predictions.scores if predictions.scores is not None else [None] * len(predictions)
    return list(zip(predictions.values, scores, strict=True))


def _distance(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """Return how far two answers are apart: by their scores, else by their values, else 1."""
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
