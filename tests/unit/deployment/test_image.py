"""What goes into an image, and when it is another one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.deployment.image import (
    PROBE,
    Image,
    Interpreter,
    required_packages,
    sources,
    write_dependencies,
    write_model,
)
from mlops.errors import BundleError, MlopsError
from mlops.model import bundle as bundles
from tests.tiny import tiny_bundle

ROOT = Path(__file__).parents[3]


def printed(libc: str, version: str, machine: str = "x86_64") -> str:
    return json.dumps([[3, 11], machine, libc, version])


@pytest.mark.parametrize(
    ("libc", "version", "machine", "platform"),
    [
        ("glibc", "2.36", "x86_64", "x86_64-manylinux_2_36"),
        ("glibc", "2.30", "x86_64", "x86_64-manylinux_2_28"),
        ("glibc", "2.17", "aarch64", "aarch64-manylinux_2_17"),
        ("glibc", "2.99", "x86_64", "x86_64-manylinux_2_40"),
        ("", "", "aarch64", "aarch64-unknown-linux-musl"),
    ],
)
def test_wheels_are_chosen_for_the_base(libc: str, version: str, machine: str, platform: str) -> None:
    assert Interpreter.parse(printed(libc, version, machine)) == Interpreter("3.11", platform)


def test_a_base_too_old_for_any_wheel_is_named() -> None:
    with pytest.raises(MlopsError, match="MLOPS_BASE_IMAGE"):
        Interpreter.parse(printed("glibc", "2.12"))


def test_the_probe_prints_what_is_read() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert Interpreter.parse(done.stdout).version == ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def image(tmp_path: Path) -> Image:
    bundle = tiny_bundle(tmp_path / "bundle")
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.4.6\n")
    return Image(
        project="plums",
        version="3",
        digest=bundle.digest,
        bundle=bundle.folder,
        base="python:3.11-slim",
        base_id="sha256:1",
        lock=lock,
        template=(ROOT / "models" / "Dockerfile").read_text(),
    )


def test_the_packages_change_with_the_lock_and_the_base_and_the_kind(image: Image, tmp_path: Path) -> None:
    other_lock = tmp_path / "other.lock"
    other_lock.write_text("numpy==2.4.7\n")
    fitted = tiny_bundle(tmp_path / "fitted", compiled=False)
    names = {
        image.dependencies,
        dataclasses.replace(image, lock=other_lock).dependencies,
        dataclasses.replace(image, base_id="sha256:2").dependencies,
        dataclasses.replace(image, bundle=fitted.folder, digest=fitted.digest).dependencies,
    }
    assert len(names) == 4


def test_a_retrained_model_keeps_the_packages(image: Image, tmp_path: Path) -> None:
    other = tiny_bundle(tmp_path / "other", strength=0.1)
    retrained = dataclasses.replace(image, bundle=other.folder, digest=other.digest, version="4")
    assert retrained.dependencies == image.dependencies
    assert retrained.identity != image.identity
    assert retrained.name != image.name


def test_an_image_brings_what_the_module_imports_where_the_module_answers(tmp_path: Path) -> None:
    def packages(*, compiled: bool, **info: object) -> set[str]:
        written = tiny_bundle(tmp_path / f"{len(list(tmp_path.iterdir()))}", compiled=compiled)
        files = {
            name: written.read(name)
            for name in json.loads(written.read("manifest.json"))["files"]
            if name != "model.json"
        }
        manifest = bundles.to_json({**written.model.to_dict(), "packages": ["lightgbm"], **info})
        return set(required_packages(bundles.write(written.folder, {**files, "model.json": manifest}).folder))

    compiled, fallback = packages(compiled=True), packages(compiled=False)
    own = packages(compiled=False, custom=True)
    assert "lightgbm" not in compiled
    assert {"lightgbm", "scikit-learn", "skops"} <= fallback
    assert {"lightgbm", "pandas", "numpy", "uvicorn"} <= own
    assert not {"scikit-learn", "skops", "onnxruntime"} & own


def test_a_package_that_the_lock_no_longer_pins_is_refused(image: Image, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "loose", compiled=False)
    files = {name: bundle.read(name) for name in json.loads(bundle.read("manifest.json"))["files"]}
    manifest = bundles.to_json({**bundle.model.to_dict(), "packages": ["nonesuch", "--help"]})
    loose = bundles.write(bundle.folder, {**files, "model.json": manifest})
    with pytest.raises(MlopsError, match=r"needs --help, nonesuch, which requirements\.lock does not pin"):
        write_dependencies(
            tmp_path,
            dataclasses.replace(image, bundle=loose.folder, digest=loose.digest),
            Interpreter("3.11", "x86_64-manylinux_2_36"),
        )


def test_serving_carries_neither_settings_nor_vendors(image: Image) -> None:
    carried = set(sources(image.bundle))
    assert {"mlops/__init__.py", "mlops/serving/__main__.py", "mlops/model/predictor.py"} <= carried
    assert (
        not {
            "mlops/config/project_folder.py",
            "mlops/ledger/store.py",
            "mlops/deployment/image.py",
            "mlops/adapters/targets/docker.py",
        }
        & carried
    )


def test_an_edit_of_what_reads_the_log_rebuilds_no_image(image: Image) -> None:
    carried = set(sources(image.bundle))
    assert {"mlops/prediction_log/writer.py", "mlops/prediction_log/segment.py"} <= carried
    assert not {"mlops/prediction_log/reader.py", "mlops/files/parquet.py"} & carried


def test_what_the_bundles_module_imports_is_carried(image: Image) -> None:
    assert "mlops/training/plan.py" not in sources(image.bundle)
    (image.bundle / "module.py").write_text("def build():\n    from mlops.training import plan\n")
    assert "mlops/training/plan.py" in sources(image.bundle)


def test_a_models_context_is_the_bundle_our_code_and_two_copies(image: Image, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    write_model(folder, image)
    dockerfile = (folder / "Dockerfile").read_text()
    assert dockerfile.startswith(f"FROM {image.dependencies}\n")
    assert 'org.mlops.version="3"' in dockerfile
    assert {path.name for path in folder.iterdir()} == {"Dockerfile", "app", "bundle"}
    assert all(path.stat().st_mode & 0o004 for path in folder.rglob("*"))


def test_a_bundle_of_another_digest_is_not_imaged(image: Image, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        write_model(tmp_path, dataclasses.replace(image, digest="0" * 64))
