from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.errors import BundleError, FormatError
from mlops.model import bundle

FILES = {"model.skops": b"model", "golden.json": b'{"rows": []}', "deep/er.txt": b"deep"}


@pytest.fixture
def written(tmp_path: Path) -> bundle.Bundle:
    return bundle.write(tmp_path / "bundle", FILES)


def test_a_bundle_is_named_by_its_content_alone(written: bundle.Bundle, tmp_path: Path) -> None:
    again = bundle.write(tmp_path / "elsewhere", dict(reversed(FILES.items())))
    other = bundle.write(tmp_path / "other", {**FILES, "model.skops": b"another"})

    assert again.digest == written.digest != other.digest
    assert bundle.open(written.folder, digest=written.digest) == written


def test_writing_again_leaves_nothing_of_what_was_there(written: bundle.Bundle) -> None:
    bundle.write(written.folder, {"golden.json": b"{}"})

    assert sorted(path.name for path in written.folder.iterdir()) == ["golden.json", "manifest.json"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda folder: (folder / "deep/er.txt").write_bytes(b"altered"), "deep/er.txt differs"),
        (lambda folder: (folder / "model.skops").unlink(), "has no model.skops"),
        (lambda folder: (folder / "extra.py").write_bytes(b""), "extra.py is not in the manifest"),
        (lambda folder: (folder / "manifest.json").unlink(), "no readable manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "no readable manifest.json"),
    ],
)
def test_opening_names_the_file_that_differs(written: bundle.Bundle, damage, named: str) -> None:
    damage(written.folder)

    with pytest.raises(BundleError, match=named):
        bundle.open(written.folder)


def test_a_forged_manifest_is_another_bundle(written: bundle.Bundle) -> None:
    forged = bundle.write(written.folder, {**FILES, "model.skops": b"forged"})

    assert bundle.open(forged.folder) == forged
    with pytest.raises(BundleError, match=f"is {forged.digest[:12]}, not {written.digest[:12]}"):
        bundle.open(forged.folder, digest=written.digest)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "manifest.json"])
def test_a_manifest_names_only_files_of_the_bundle(written: bundle.Bundle, name: str) -> None:
    (written.folder / "manifest.json").write_text(json.dumps({"format": 2, "files": {name: "0"}}))

    with pytest.raises(BundleError, match="no file of a bundle"):
        bundle.open(written.folder)


def test_a_bundle_of_another_format_is_refused(written: bundle.Bundle) -> None:
    (written.folder / "manifest.json").write_text(json.dumps({"format": 3, "files": {}}))

    with pytest.raises(FormatError, match="is of format 3; this version of mlops reads format 2"):
        bundle.open(written.folder)


def test_a_file_it_has_not_is_named(written: bundle.Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no schema\.json"):
        _ = written.schema


def test_json_refuses_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        bundle.to_json(float("nan"))
