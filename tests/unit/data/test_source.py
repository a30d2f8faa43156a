from __future__ import annotations

from pathlib import Path

import pytest

from mlops.data.source import tables
from mlops.errors import UsageError


def test_a_source_is_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    for name in ("in/b.csv.gz", "in/a.parquet", "in/note.txt", "in/deep/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    def named(source: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in tables(source, tmp_path)]

    assert named("in/a.parquet") == ["in/a.parquet"]
    assert named(str(tmp_path / "in")) == named("in") == ["in/a.parquet", "in/b.csv.gz"]
    assert named("in/**/*.csv") == ["in/deep/c.csv"]
    with pytest.raises(UsageError, match="nowhere"):
        tables("nowhere", tmp_path)
