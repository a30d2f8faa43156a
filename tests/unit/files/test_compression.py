from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from mlops.files.compression import opened, plain_name

TEXT = b"a,b\n1,2\n" * 1000


def packed(path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inner.csv", TEXT)
    elif path.suffix == ".zst":
        with pa.output_stream(path, compression="zstd") as file:
            file.write(TEXT)
    else:
        pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(TEXT))
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.csv.bz2", "t.csv.xz", "t.csv.zst"])
def test_a_file_is_read_however_it_was_packed(tmp_path: Path, name: str) -> None:
    with opened(packed(tmp_path / name)) as file:
        assert file.read() == TEXT
    assert plain_name(tmp_path / name) == "t.csv"


def test_a_zip_of_several_files_is_no_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    with pytest.raises(ValueError, match="holds 2 files"), opened(tmp_path / "t.csv.zip"):
        pass
