"""The files of a new project, proposed for a table: pure text, with what was found beside each line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import __version__
from mlops.config.durations import format_duration
from mlops.errors import UsageError
from mlops.files.yaml import yaml_line
from mlops.scaffold.model_choice import ModelChoice
from mlops.scaffold.windows import Span, Windows

if TYPE_CHECKING:
    from mlops.scaffold.profile import Profile

__all__ = ["Proposal", "slug"]

_SCAFFOLD = Path(__file__).parent
_FILES = {
    "params.yaml": "params.yaml.jinja",
    "README.md": "README.md.jinja",
    "Makefile": "Makefile.jinja",
    "tests/test_project.py": "test_project.py.jinja",
}


@dataclass(frozen=True)
class Proposal:
    """A project for a table.

    Parameters
    ----------
    name
        What the data is called, see `slug`.
    source
        The table it was made from, as a person named it.
    span
        How the rows lie in time, where they have one.
    contract
        The text of contract.yaml; None for a project without.
    """

    name: str
    profile: Profile
    model: ModelChoice
    source: str
    rows: int
    span: Span | None = None
    contract: str | None = None

    @property
    def windows(self) -> Windows:
        """What is fitted, held out and watched."""
        labelled, span = round(self.rows * (1 - self.profile.unlabelled)), self.span
        if span is None:
            return Windows(None, labelled)
        return Windows(span.end - span.begin, labelled, span.end - span.recent, span.step)

    def files(self) -> Mapping[str, str]:
        """Return the content of each file by its path in the project."""
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_SCAFFOLD),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # it is no markup
        )
        environment.filters |= {"yaml": yaml_line, "duration": format_duration, "comment": _comment}
        facts: dict[str, Any] = {"it": self, "profile": self.profile, "windows": self.windows}
        facts |= {"version": __version__, "schema": self.profile.schema()}
        fixed = {"contract.yaml": self.contract} if self.contract else {}
        facts["width"] = (
            max(len(yaml_line(feature.name) + feature.type) for feature in self.profile.features) + 4
        )
        made = {path: environment.get_template(of).render(facts) for path, of in _FILES.items()}
        return made | fixed


def slug(text: str) -> str:
    """Return a name as params.yaml wants it: lower case, digits and dashes.

    Raises
    ------
    UsageError
        Nothing of it is left.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")
    if not name:
        raise UsageError(
            f"No name for the data can be made of {text!r}.", remedy="Give one with --name, as churn."
        )
    return name


def _comment(value: Any) -> str:
    """Return what may stand behind a # in YAML: a value of the table can hold a line break."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))
