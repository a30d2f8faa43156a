"""A model's card: what it is, what it was trained on, how good it is and where it ends, as Markdown.

Its headings are those of model cards (Mitchell et al. 2019). What it says is read from the
bundle and the figures of the evaluation: the same model gives the same card.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops.config.params import GateParams
from mlops.model.bundle import Bundle
from mlops.moments import from_text, last_before
from mlops.schema import Schema

__all__ = ["ModelCard", "project"]

_SHORT = 12
_LISTED = 10


def project(name: str, schema: Schema, gate: GateParams) -> str:
    """Describe what a project predicts and how its versions get promoted, for whoever opens it."""
    features = ", ".join(f"`{feature}`" for feature in schema.features)
    return (
        f"**{name}**: {_predicts(schema)} from {len(schema.features)} features: {features}.\n\n"
        f"Each run is one training by the flow `train` or `retrain`; its model is a version of `{name}`. "
        f"{_rule(gate)}\n\n"
        "`champion` is the version that was promoted last, `challenger` the newest that the gate judged "
        "beside it. Find what was promoted with ``tags.`mlops.gate` = 'promoted'``."
    )


@dataclass(frozen=True)
class ModelCard:
    """What there is to say of one trained model.

    Parameters
    ----------
    metrics
        ``holdout`` and ``baseline``, figures by name, as the evaluation wrote them.
    importances
        Feature and loss added by shuffling it, largest first.
    gate
        The rule that it is put before.
    commit
        Holds the dvc.lock it was trained by.
    """

    bundle: Bundle
    metrics: Mapping[str, Any]
    importances: Sequence[tuple[str, float]]
    gate: GateParams
    commit: str

    @property
    def name(self) -> str:
        """What the project, and so its model, is called."""
        return str(self.bundle.lineage["params"]["data"]["name"])

    @property
    def title(self) -> str:
        """What tells it from the others in a list: the newest day it knows, and its rows."""
        lineage = self.bundle.lineage
        end, rows = lineage["fitted_until"], lineage["train"]["rows"]
        newest = _last_day(end) if end else f"data {_id(lineage['data'])}"
        return f"{newest} · {_count(rows)} rows"

    def short(self) -> str:
        """Return the card in a few lines: what, on which rows, how good."""
        lineage, metric = self.bundle.lineage, self.gate.metric
        ours, constant = (self.metrics[of].get(metric) for of in ("holdout", "baseline"))
        baseline = f"baseline (constant prediction) {_figure(constant)}"
        good = f"`{metric}` {_figure(ours)} out of fold; {baseline}. "
        most = ", ".join(f"`{feature}`" for feature, _ in self.importances[:3])
        return (
            f"{_sentence(_predicts(self.bundle.schema))}. Fitted on {_rows(lineage['train'])}; measured out "
            f"of fold on {_rows(lineage['holdout'])}.\n\n{good}Counts most: {most}.\n\n"
            f"Data `{_id(lineage['data'])}`, commit `{_id(self.commit)}`, bundle `{_id(self.bundle.digest)}`."
        )

    def text(self) -> str:
        """Return the whole card."""
        parts = {
            "Intended use": self._use(),
            "How to get predictions": self._usage(),
            "Training data": self._data(),
            "Figures": self._figures(),
            "Features": self._features(),
            "Validation": f"{_rule(self.gate)} The verdict and its numbers are in the version's tags "
            "`mlops.gate` and `mlops.gate.reason`.",
            "Limits": self._limits(),
            "Lineage": self._lineage(),
        }
        sections = "\n\n".join(f"## {title}\n\n{body}" for title, body in parts.items())
        return f"# {self.name}: {self.bundle.schema.target}\n\n{sections}\n"

    def _use(self) -> str:
        schema, classes = self.bundle.schema, self.bundle.model.classes
        text = f"{_sentence(_predicts(schema))}, for rows like those of the table `{self.name}`."
        if classes is None:
            return f"{text} It predicts a value."
        labels = ", ".join(f"`{label}`" for label in classes)
        score = f"the probability of `{classes[1]}`" if len(classes) == 2 else "a probability for each"
        return f"{text} It predicts one of {labels}, and {score}."

    def _usage(self) -> str:
        names = self.bundle.schema.features
        row = json.dumps({name: self.bundle.golden["rows"][0][name] for name in names})
        answer = json.dumps(self.bundle.golden["predictions"][0])
        return (
            f"From the gateway (`POST /predict`), or with `mlops predict ROWS`; in Python with "
            f'`mlflow.pyfunc.load_model("models:/{self.name}@champion").predict(frame)`, and '
            f'`params={{"scores": True}}` for the scores. The row\n\n```json\n{row}\n```\n\n'
            f"gets the prediction\n\n```json\n{answer}\n```"
        )

    def _data(self) -> str:
        lineage = self.bundle.lineage
        lines = [
            f"Fitted on {_rows(lineage['train'])}.",
            f"Measured on {_rows(lineage['holdout'])}, in {len(lineage['folds'])} folds, each predicted "
            "by a fit of the same recipe on the rows before it.",
            f"{lineage['unlabelled']:,} rows without a label were left out.",
            f"Version of the data, as DVC names it: `{lineage['data']}`.",
        ]
        return _list([*lines, *self._search()])

    def _search(self) -> list[str]:
        """Return what there is to say of the search that chose the parameters."""
        search = self.bundle.lineage.get("search")
        if search is None:
            return []
        picked = ", ".join(f"`{name}` {value}" for name, value in search["params"].items())
        counts = ", ".join(f"{count} {state}" for state, count in sorted(search["trials"].items()))
        return [
            f"Parameters: {picked}. Trial {search['trial']} of a search ({counts}), of mean "
            f"`{search['metric']}` {_figure(search['loss'])} on parts of the rows before the first fold."
        ]

    def _figures(self) -> str:
        ours, constant = self.metrics["holdout"], self.metrics["baseline"]
        rows = [(f"`{name}`", _figure(ours[name]), _figure(constant.get(name))) for name in ours]
        return _table(("out of fold", "this recipe", "baseline (constant prediction)"), rows)

    def _features(self) -> str:
        weight = dict(self.importances)
        kinds = self.bundle.schema.features
        order = [*weight, *(name for name in kinds if name not in weight)]
        known = self.bundle.model.categories
        rows = [
            (f"`{name}`", kinds[name], _values(known.get(name)), _figure(weight.get(name))) for name in order
        ]
        table = _table(("feature", "kind", "values seen in training", "loss added by shuffling it"), rows)
        return f"{table}\n\nThe loss added is in the unit of the task's first loss, on the newest fold."

    def _limits(self) -> str:
        info, until = self.bundle.model, self.bundle.lineage["fitted_until"]
        lines = [
            "It was trained on correlations, which are not causes.",
            "Correlated features share their importance.",
            "A category value that was not seen in training is treated as unknown.",
            "It is served compiled; the compiled model predicts as the fitted one did."
            if info.compiled
            else f"It is served as it was fitted, uncompiled: {info.why_not_compiled}",
        ]
        if until:
            lines.insert(1, f"It was trained on nothing after {_last_day(until)}: monitor its drift.")
        return _list(lines)

    def _lineage(self) -> str:
        lineage = self.bundle.lineage
        rows = [
            ("commit", self.commit),
            ("data", lineage["data"]),
            ("requirements.lock", lineage["lock"]),
            (f"`{lineage['params']['model']['builder']}`", lineage["module"]),
            ("bundle", self.bundle.digest),
            *sorted(self.bundle.model.versions.items()),
        ]
        return _table(("what", "which"), [(what, f"`{which}`") for what, which in rows])


def _predicts(schema: Schema) -> str:
    kind = schema.task_type.noun
    return f"predicts `{schema.target}`, a {kind}"


def _rule(gate: GateParams) -> str:
    more = f" by more than {gate.min_improvement:g}" if gate.min_improvement else ""
    return (
        "The gate promotes a model where, on the same held-out rows, which neither was trained on, its "
        f"mean `{gate.metric}` is significantly lower than the champion's{more}: at {gate.confidence:.0%} "
        f"confidence, by blocks of {gate.block.total_seconds() / 3600:g} h."
    )


def _rows(window: Mapping[str, Any]) -> str:
    between = f" of {_day(window['start'])} to {_last_day(window['end'])}" if window["start"] else ""
    return f"{window['rows']:,} rows{between}"


def _day(time: str) -> str:
    return time[:10]


def _last_day(end: str) -> str:
    """Return the last day of a window, whose end is exclusive."""
    return f"{last_before(from_text(end)):%Y-%m-%d}"


def _count(rows: int) -> str:
    return f"{rows / 1000:.0f}k" if rows >= 10_000 else f"{rows:,}"


def _id(digest: str) -> str:
    return digest[:_SHORT]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _values(known: Sequence[str] | None) -> str:
    if known is None:
        return ""
    listed = ", ".join(f"`{value}`" for value in known[:_LISTED] if value)
    return listed if len(known) <= _LISTED else f"{listed} and {len(known) - _LISTED} more"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
