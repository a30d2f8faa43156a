"""Rows as a person mends them: written out, and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.data.quarantine import QuarantinedRow
from mlops.project import mended_rows


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("sign", ["\u2028", "\u0085", "\x1c"], ids=ascii)
def test_a_value_with_a_sign_that_ends_lines_elsewhere_comes_back_whole(
    tmp_path: Path, suffix: str, sign: str
) -> None:
    row = QuarantinedRow(
        "june", 3, {"note": f"ripe{sign}or not", "size": "abc"}, "size: 'abc' is not a number"
    )
    file = tmp_path / f"mended.{suffix}"
    file.write_text(mended_rows.text_of([row], file), "utf-8")
    assert mended_rows.read(file) == {"june:3": dict(row.values)}
