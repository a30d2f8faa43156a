"""What a file is by its first bytes, where its name says otherwise."""

from __future__ import annotations

import re

__all__ = ["recognize"]

_WAYS = {
    "excel": "Save the sheet as CSV, in Excel: File, Save as, CSV UTF-8.",
    "packed": "Give its name the suffix too, as table.csv{0}.",
    "page": "Download the file itself: open the address in a browser and save what it links to.",
}
_SIGNS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", _WAYS["excel"]),
    (rb"PAR1[\x00-\x1f]", "Parquet", "Name it .parquet."),
    (rb"\x1f\x8b", "compressed with gzip", _WAYS["packed"].format(".gz")),
    (rb"BZh[1-9]1AY", "compressed with bzip2", _WAYS["packed"].format(".bz2")),
    (rb"\xfd7zXZ", "compressed with xz", _WAYS["packed"].format(".xz")),
    (rb"\x28\xb5\x2f\xfd", "compressed with Zstandard", _WAYS["packed"].format(".zst")),
    (rb"%PDF-", "a PDF", "Give the table as CSV."),
    (
        rb"SQLite format 3\0",
        "a SQLite database",
        "Export the table as CSV.",
    ),
    (rb"(ARROW1|FEA1)[\x00-\x08]", "an Arrow or Feather file", "Write the table as Parquet."),
    (rb"\x89HDF", "an HDF5 file", "Write the table as Parquet or CSV."),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the table", "Run `git lfs pull`."),
    (rb"\s*<(!doctype html|html|head|body)\b", "an HTML page", _WAYS["page"]),
    (rb"\s*<\?xml\b", "XML", "Give the table as CSV."),
    (rb"\s*@relation\b", "ARFF", "Give the table as CSV: a line with the names, then the data."),
    (rb"\s*\[\s*[{\[]", "one JSON array", "Write one JSON object a line, and name it .jsonl."),
    (rb"\s*\{\s*\"", "JSON", "Write one JSON object a line, and name it .jsonl."),
)


def recognize(head: bytes, *, beside: str = "") -> tuple[str, str] | None:
    """Return what a file is by its first bytes, and the way out; None where they do not tell.

    Parameters
    ----------
    beside
        What it is by its name, which is not news.
    """
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"PK\x03\x04"):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            return "an Excel workbook (.xlsx)", _WAYS["excel"]
        return "a zip", _WAYS["packed"].format(".zip")
    for sign, what, way in _SIGNS:
        if re.match(sign, text, re.IGNORECASE) and not (beside and what.startswith(beside)):
            return what, way
    return None
