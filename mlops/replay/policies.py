"""When a replay retrains: the policies by the word that names them, in a register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from mlops.config.durations import parse_duration
from mlops.errors import UsageError
from mlops.register import Register

if TYPE_CHECKING:
    from mlops.config.durations import Cadence
    from mlops.config.params import Params

__all__ = ["REGISTER", "Form", "Moment", "Policy", "parse_policy"]

Watched = Literal["nothing", "loss", "columns and loss"]
"""What of a window is judged, and may start a retraining once drift is confirmed."""


class Moment(Protocol):
    """What a policy may ask about the end of a step."""

    @property
    def as_of(self) -> datetime:
        """The end of the step."""
        ...

    @property
    def last_training(self) -> datetime:
        """When the last training was requested; that of the first model to begin with."""
        ...

    def new_rows(self) -> int:
        """Count the mature labelled rows later than those of the last training."""
        ...


def _never(moment: Moment) -> bool:  # noqa: ARG001
    return False


def _always(moment: Moment) -> bool:  # noqa: ARG001
    return True


@dataclass(frozen=True)
class _Every:
    length: timedelta

    def __call__(self, moment: Moment) -> bool:
        return moment.as_of >= moment.last_training + self.length


@dataclass(frozen=True)
class _Rows:
    count: int

    def __call__(self, moment: Moment) -> bool:
        return moment.new_rows() >= self.count


@dataclass(frozen=True)
class Policy:
    """When the replay retrains.

    Parameters
    ----------
    name
        As a person wrote it.
    is_due
        Whether a retraining is requested at a moment, whatever drifted: as a schedule or a person does.
    watched
        What of each window is judged; confirmed drift starts a retraining, cooldown permitting.
    gated
        Whether the gate decides about promotion; else each refit is put in place without a backtest.
    starts_on_drift
        Whether confirmed drift starts a retraining even where ``retrain.policy`` is ``never``.
    """

    name: str
    is_due: Callable[[Moment], bool] = _never
    watched: Watched = "nothing"
    gated: bool = True
    starts_on_drift: bool = False

    def applied(self, params: Params) -> Params:
        """Return the settings that it is played with."""
        if not self.starts_on_drift:
            return params
        return params.model_copy(update={"retrain": params.retrain.model_copy(update={"policy": "on_drift"})})


Make = Callable[[str, "str | None", "Params"], Policy]
"""Makes a policy of what was written, its value after ``=``, and params.yaml; ValueError if it is bad."""


@dataclass(frozen=True)
class Form:
    """How a policy is written.

    Parameters
    ----------
    name
        The word before ``=``.
    example
        How a person would write it.
    """

    name: str
    example: str
    make: Make


def parse_policy(text: str, params: Params) -> Policy:
    """Read ``never``, ``always``, ``every=30d``, ``rows=5000``, ``on_drift``, ``on_loss`` or ``params``.

    Parameters
    ----------
    params
        What ``params`` stands for: drift as ``retrain.policy`` has it, and ``schedule.retrain``.

    Raises
    ------
    UsageError
        It is none of these, or its value is missing or unusable.
    """
    word, equals, value = text.strip().partition("=")
    forms = ", ".join(form.example for form in REGISTER)
    if word not in REGISTER:
        what = f"{text!r} is no policy." if text.strip() else "A policy has no name."
        raise UsageError(f"--policy: {what}", remedy=f"Pass one of {forms}.")
    try:
        return REGISTER.find(word).make(text.strip(), value if equals else None, params)
    except ValueError as exc:
        raise UsageError(f"--policy {text}: {exc}.", remedy=f"Pass one of {forms}.") from exc


def _plain(policy: Policy) -> Make:
    def make(text: str, value: str | None, params: Params) -> Policy:  # noqa: ARG001
        if value is not None:
            raise ValueError(f"{policy.name} takes no value")
        return policy

    return make


def _every(text: str, value: str | None, params: Params) -> Policy:  # noqa: ARG001
    length = parse_duration(value or "")
    if length <= timedelta(0):
        raise ValueError("the interval must be longer than nothing")
    return Policy(text, _Every(length))


def _rows(text: str, value: str | None, params: Params) -> Policy:  # noqa: ARG001
    if not (value or "").isdecimal() or int(value or 0) < 1:
        raise ValueError("a whole number of rows, 1 or more, is needed")
    return Policy(text, _Rows(int(value or 0)))


def _as_params(text: str, value: str | None, params: Params) -> Policy:
    if value is not None:
        raise ValueError("params takes no value; change a setting by --set KEY=VALUE")
    scheduled = params.schedule.retrain
    is_due = _never if scheduled is None else _Every(_interval(scheduled))
    return Policy(text, is_due, watched="columns and loss")


def _interval(cadence: Cadence) -> timedelta:
    """Return the time between two runs of a schedule; of a cron line, the first from 2000 on."""
    if cadence.every is not None:
        return cadence.every
    from cronsim import CronSim

    runs = CronSim(cadence.text, datetime(2000, 1, 1))
    first = next(runs)
    return next(runs) - first


REGISTER: Register[Form] = Register(
    "--policy",
    Form("never", "never", _plain(Policy("never"))),
    Form("always", "always", _plain(Policy("always", _always, gated=False))),
    Form("every", "every=30d", _every),
    Form("rows", "rows=5000", _rows),
    Form(
        "on_drift", "on_drift", _plain(Policy("on_drift", watched="columns and loss", starts_on_drift=True))
    ),
    Form("on_loss", "on_loss", _plain(Policy("on_loss", watched="loss", starts_on_drift=True))),
    Form("params", "params", _as_params),
)
