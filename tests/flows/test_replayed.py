"""A replay of the rows that the flows served finds what the flows decided."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from mlops.ledger.records import DriftChecked, GateJudged
from mlops.project.labelled_history import labelled_history
from mlops.replay.fit_cache import Memory
from mlops.replay.fits import Fits
from mlops.replay.played import Played
from mlops.replay.player import play
from mlops.replay.policies import parse_policy
from mlops.replay.timeline import Timeline
from mlops.training.out_of_fold import Recipe
from tests.flows.orchard import BEGIN, HISTORY, MODEL, Closed


@pytest.fixture(scope="module")
def replayed(closed: Closed) -> Played:
    project, as_of = closed.orchard.project, closed.drift.as_of
    assert as_of is not None
    rows = labelled_history(project)
    # What the tests after the loop's first turn served is left out. Labels came with the rows.
    past = rows[rows["picked"] < as_of].reset_index(drop=True)
    timeline, params = Timeline(past, project.schema, timedelta(0)), project.params
    recipe = Recipe(MODEL.encode(), params.model.builder, params.model.params, params.model.seed)
    edges = [(BEGIN + timedelta(days=HISTORY)).to_pydatetime(), as_of]
    return play(
        parse_policy("params", params), timeline, params, Fits(timeline, recipe, Memory()), edges=edges
    )


def figures(sentence: str) -> list[float]:
    return [
        float(number.replace(",", "").replace("−", "-")) for number in re.findall(r"[−\d][\d,.]*\d", sentence)
    ]


def same(replayed: str, recorded: str) -> bool:
    """Whether two sentences say the same, but for the last digit of a figure: what serves is compiled."""
    words = [re.sub(r"[−\d][\d,.]*\d", "#", text) for text in (replayed, recorded)]
    return words[0] == words[1] and figures(replayed) == pytest.approx(figures(recorded), abs=2e-4)


def test_a_replay_finds_the_verdicts_and_promotions_of_the_flows(closed: Closed, replayed: Played) -> None:
    ledger = closed.orchard.project.ledger
    first = ledger.entries(GateJudged)[0]
    checked = ledger.get(closed.drift.cause, DriftChecked)
    judged = ledger.get(closed.answer.record.judged, GateJudged)
    assert checked is not None
    assert judged is not None
    assert [one.kind for one in replayed.decisions] == ["first", "window", "promoted"]
    recorded = [first.record.sentence, checked.record.sentence, judged.record.sentence]
    for decision, sentence in zip(replayed.decisions, recorded, strict=True):
        assert same(decision.sentence, sentence), f"{decision.sentence}\n{sentence}"


def test_another_figure_or_another_verdict_is_not_the_same() -> None:
    sentence = "Promoted: log loss 0.4581 vs champion 3.6967 (−3.2386; 145 rows)."
    assert same(sentence.replace("0.4581", "0.4582"), sentence)
    assert not same(sentence.replace("0.4581", "0.4681"), sentence)
    assert not same(sentence.replace("Promoted", "Rejected"), sentence)
