"""The container image of a model: its packages and files, and the build context.

Two layers. The packages change with the lock or the base image, and are installed from outside, so
that the base image needs Python only. The model changes with each retraining: the bundle and the few
modules of this library that serving imports. Nothing here talks to a container engine.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jinja2
import uv
from packaging.utils import canonicalize_name

from mlops.errors import MlopsError, shown
from mlops.files import hashing
from mlops.maintenance.packages import pinned
from mlops.model import bundle as bundles

__all__ = [
    "PROBE",
    "Image",
    "Interpreter",
    "Runtime",
    "required_packages",
    "sources",
    "write_dependencies",
    "write_model",
]

Runtime = Literal["compiled", "fallback", "custom"]

_ALWAYS = ("numpy", "orjson", "starlette", "uvicorn", "httptools", "uvloop", "prometheus-client")
_PACKAGES: Mapping[Runtime, tuple[str, ...]] = {
    "compiled": (*_ALWAYS, "onnxruntime"),
    "fallback": (*_ALWAYS, "scikit-learn", "scipy", "pandas", "skops", "joblib", "threadpoolctl"),
    "custom": (*_ALWAYS, "pandas"),
}
"""What serving imports; their dependencies follow from the lock."""

_UNUSED = (
    "**/tests", "**/*.py[ixd]", "**/*.pyx", "bin",
    "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/transformers",
)  # fmt: skip
"""Files of packages that no service imports: a fifth of the layer and of its compile time."""

PROBE = """
import json, platform, sys
print(json.dumps([sys.version_info[:2], platform.machine(), *platform.libc_ver()]))
"""
"""A program for the image's Python; `Interpreter.parse` reads its output."""

_MANYLINUX_GLIBC = (17, 28, *range(31, 41))


@dataclass(frozen=True)
class Interpreter:
    """The Python of a base image, for choosing its wheels."""

    version: str
    """``3.11``"""
    platform: str
    """As uv names it: ``x86_64-manylinux_2_36``."""

    @classmethod
    def parse(cls, printed: str) -> Interpreter:
        """Parse the output of `PROBE`.

        Raises
        ------
        MlopsError
            The image's glibc is older than any wheel supports.
        """
        (major, minor), machine, libc, libc_version = json.loads(printed)
        if libc != "glibc":
            return cls(f"{major}.{minor}", f"{machine}-unknown-linux-musl")
        minor_version = int(libc_version.split(".")[1])
        compatible = [tag for tag in _MANYLINUX_GLIBC if tag <= minor_version]
        if not compatible:
            raise MlopsError(
                f"The base image has glibc {libc_version}; wheels need 2.17 or newer.",
                remedy="Set MLOPS_BASE_IMAGE to a newer image.",
            )
        return cls(f"{major}.{minor}", f"{machine}-manylinux_2_{compatible[-1]}")


@dataclass(frozen=True)
class Image:
    """The inputs of an image, which determine its name and identity.

    Images that differ in any content differ in `identity`.
    """

    project: str
    version: str
    digest: str
    """The bundle's."""
    bundle: Path
    base: str
    base_id: str
    """The engine's id of the base image: a tag may move."""
    lock: Path
    template: str
    """Text of models/Dockerfile."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that its model needs."""
        return required_packages(self.bundle)

    @property
    def dependencies(self) -> str:
        """Name of the image with the packages; shared by models that need the same ones."""
        parts = [hashing.of_file(self.lock), self.base_id, self.packages, self.template]
        return f"mlops-deps:{hashing.of_value(parts)[:12]}"

    @property
    def name(self) -> str:
        """Name of the model's image."""
        return f"mlops-{self.project}:{self.digest[:12]}"

    @property
    def identity(self) -> str:
        """A hash of the bundle, the packages, the template and this library's code in the image."""
        code = {path: hashing.of_file(file) for path, file in sources(self.bundle).items()}
        return hashing.of_value([self.project, self.version, self.digest, self.dependencies, code])

    @property
    def labels(self) -> dict[str, str]:
        """Labels that identify the image's project and content."""
        return {
            "org.mlops.project": self.project,
            "org.mlops.version": self.version,
            "org.mlops.digest": self.digest,
            "org.mlops.identity": self.identity,
            "org.mlops.dependencies": self.dependencies,
            "org.opencontainers.image.title": f"mlops-{self.project}",
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.base.name": self.base,
        }


def required_packages(bundle: Path) -> tuple[str, ...]:
    """Return the packages that serving a bundle's model needs, all of them in the lock.

    A compiled model needs none of those that its module imports, unless that registers what a row is.
    """
    opened = bundles.open(bundle, verify=False)
    model = opened.model
    if model.compiled and not opened.registers:
        return _PACKAGES["compiled"]
    imported = _PACKAGES["custom" if model.custom else "fallback"]
    compiled = _PACKAGES["compiled"] if model.compiled else ()
    return (*dict.fromkeys([*compiled, *imported]), *sorted(model.packages))


def write_dependencies(folder: Path, image: Image, interpreter: Interpreter) -> None:
    """Write the build context of the packages' image, named `image.dependencies`.

    Raises
    ------
    MlopsError
        A package has no wheel of the locked version for that interpreter.
    """
    _install_packages(folder / "site", image, interpreter)
    _write_dockerfile(folder, image.template, base=image.base)


def write_model(folder: Path, image: Image, *, interpreter: Interpreter | None = None) -> None:
    """Write the build context of the model's image, named `image.name`.

    It builds on `image.dependencies`; with an `interpreter` it contains the packages itself, and builds
    on any machine that has the base image.

    Raises
    ------
    BundleError
        The bundle does not match `image.digest`, or one of its files was changed.
    """
    bundles.open(image.bundle, digest=image.digest)
    shutil.copytree(image.bundle, folder / "bundle")
    for path, file in sources(image.bundle).items():
        (folder / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / "app" / path)
    if interpreter:
        _install_packages(folder / "site", image, interpreter)
        _write_dockerfile(folder, image.template, base=image.base, labels=image.labels)
    else:
        _write_dockerfile(folder, image.template, dependencies=image.dependencies, labels=image.labels)


def sources(bundle: Path) -> dict[str, Path]:
    """Return the modules of this library that serving a bundle imports, by their path in the image.

    The imports are followed from `mlops.serving` and the bundle's module: other modules stay out of
    the image, and changes to them leave it unchanged.
    """
    files: dict[str, Path] = {}
    pending = ["mlops.serving.__main__", *_imported(bundle / "module.py")]
    while pending:
        name = pending.pop()
        file = _file_of(name)
        if file is None or file[0] in files:
            continue
        files[file[0]] = file[1]
        pending += [name.rpartition(".")[0], *_imported(file[1])]
    return dict(sorted(files.items()))


def _file_of(module: str) -> tuple[str, Path] | None:
    if module.partition(".")[0] != "mlops":
        return None
    root = Path(__file__).parents[2]
    stem = module.replace(".", "/")
    paths = (f"{stem}.py", f"{stem}/__init__.py")
    return next(((path, root / path) for path in paths if (root / path).is_file()), None)


def _imported(file: Path) -> list[str]:
    return list(_imports(ast.parse(file.read_text("utf-8")))) if file.is_file() else []


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
            yield str(child.module)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _imports(child)


def _install_packages(site: Path, image: Image, interpreter: Interpreter) -> None:
    locked = pinned(image.lock.read_text("utf-8"))
    ours = {package for packages in _PACKAGES.values() for package in packages}
    if unpinned := [
        name for name in image.packages if name not in ours and canonicalize_name(name) not in locked
    ]:
        raise MlopsError(
            f"The model needs {shown(unpinned)}, which {image.lock.name} does not pin.",
            remedy="Add it to the project's dependencies and update the lock.",
        )
    wheels = (
        "--python", sys.executable, "--python-version", interpreter.version,
        "--python-platform", interpreter.platform, "--only-binary", ":all:", "--link-mode", "copy",
    )  # fmt: skip
    command = (
        uv.find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--target", str(site),
        *wheels, "--constraint", str(image.lock.resolve()), *image.packages,
    )  # fmt: skip
    # In the context's folder, so that uv does not read the project's pyproject.toml.
    process = subprocess.run(
        command, cwd=site.parent, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if process.returncode != 0:
        raise MlopsError(
            f"Could not install the image's packages: {process.stderr.strip()[-1000:]}",
            remedy=f"Check the network and {image.lock.name}.",
        )
    for pattern in _UNUSED:
        for path in list(site.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _write_dockerfile(
    folder: Path,
    template: str,
    *,
    base: str = "",
    dependencies: str = "dependencies",
    labels: Mapping[str, str] | None = None,
) -> None:
    compiled = jinja2.Template(template, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = compiled.render(base=base, dependencies=dependencies, labels=labels or {})
    (folder / "Dockerfile").write_text(text.strip() + "\n", "utf-8")
    # The service runs as another user, who has to read these files whatever the umask here.
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
