"""The image of a model: which packages and files go in, and the folder it is built from.

Two layers with two lives. The packages change when the lock or the base image does, and are
laid in from outside, so the base needs Python and nothing more. The model changes at each
retraining: the bundle and the few modules of ours that serving imports, copied on top.
Nothing here talks to a container engine.
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

__all__ = ["PROBE", "Image", "Interpreter", "Kind", "needs", "sources", "write_dependencies", "write_model"]

Kind = Literal["compiled", "fallback", "own"]

_ALWAYS = ("numpy", "orjson", "starlette", "uvicorn", "httptools", "uvloop", "prometheus-client")
_PACKAGES: Mapping[Kind, tuple[str, ...]] = {
    "compiled": (*_ALWAYS, "onnxruntime"),
    "fallback": (*_ALWAYS, "scikit-learn", "scipy", "pandas", "skops", "joblib", "threadpoolctl"),
    "own": (*_ALWAYS, "pandas"),
}
"""What serving imports; the rest of the graph follows from the lock."""

_NEEDLESS = (
    "**/tests", "**/*.py[ixd]", "**/*.pyx", "bin",
    "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/transformers",
)  # fmt: skip
"""What packages carry and no service imports: a fifth of the layer and its compile time."""

PROBE = """
import json, platform, sys
print(json.dumps([sys.version_info[:2], platform.machine(), *platform.libc_ver()]))
"""
"""Run by an image's Python, it prints what `Interpreter.parse` reads."""

_TAGGED_GLIBC = (17, 28, *range(31, 41))


@dataclass(frozen=True)
class Interpreter:
    """The Python of a base image, as far as choosing wheels for it needs to know."""

    version: str
    """``3.11``"""
    platform: str
    """As uv names it: ``x86_64-manylinux_2_36``."""

    @classmethod
    def parse(cls, printed: str) -> Interpreter:
        """Read what `PROBE` printed.

        Raises
        ------
        MlopsError
            Its C library is a glibc older than any wheel is built for.
        """
        (major, minor), machine, libc, libc_version = json.loads(printed)
        if libc != "glibc":
            return cls(f"{major}.{minor}", f"{machine}-unknown-linux-musl")
        have = int(libc_version.split(".")[1])
        fitting = [tag for tag in _TAGGED_GLIBC if tag <= have]
        if not fitting:
            raise MlopsError(
                f"The base image has glibc {libc_version}; wheels need 2.17.",
                remedy="Choose a newer one with MLOPS_BASE_IMAGE.",
            )
        return cls(f"{major}.{minor}", f"{machine}-manylinux_2_{fitting[-1]}")


@dataclass(frozen=True)
class Image:
    """What an image is made of; its names follow from that.

    Two recipes that differ in anything that ends up in the image have different `identity`.
    """

    project: str
    version: str
    digest: str
    """The bundle's."""
    bundle: Path
    base: str
    base_id: str
    """The engine's id of the base: a tag may move."""
    lock: Path
    template: str
    """Text of models/Dockerfile."""

    @property
    def packages(self) -> tuple[str, ...]:
        """What its model needs."""
        return needs(self.bundle)

    @property
    def dependencies(self) -> str:
        """Name of the image that holds the packages; the same for every model they fit."""
        parts = [hashing.of_file(self.lock), self.base_id, self.packages, self.template]
        return f"mlops-deps:{hashing.of_value(parts)[:12]}"

    @property
    def name(self) -> str:
        """Name of the model's image."""
        return f"mlops-{self.project}:{self.digest[:12]}"

    @property
    def identity(self) -> str:
        """Changes with the bundle, the packages, the template and this library's own code."""
        code = {path: hashing.of_file(file) for path, file in sources(self.bundle).items()}
        return hashing.of_value([self.project, self.version, self.digest, self.dependencies, code])

    @property
    def labels(self) -> dict[str, str]:
        """What tells the engine's user, and us, whose this is and what is in it."""
        return {
            "org.mlops.project": self.project,
            "org.mlops.data.versions": self.version,
            "org.mlops.digest": self.digest,
            "org.mlops.identity": self.identity,
            "org.mlops.dependencies": self.dependencies,
            "org.opencontainers.image.title": f"mlops-{self.project}",
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.base.name": self.base,
        }


def needs(bundle: Path) -> tuple[str, ...]:
    """Return which packages the model of a bundle needs to be served, all named in the lock.

    A compiled model needs none of those that its module imports.
    """
    model = bundles.open(bundle, verify=False).model
    if model.compiled:
        return _PACKAGES["compiled"]
    return (*_PACKAGES["own" if model.own else "fallback"], *sorted(model.packages))


def write_dependencies(folder: Path, image: Image, interpreter: Interpreter) -> None:
    """Write the context of the image that holds the packages, built as `image.dependencies`.

    Raises
    ------
    MlopsError
        A package cannot be had at the version the lock names, for that interpreter.
    """
    _lay_packages(folder / "site", image, interpreter)
    _write_dockerfile(folder, image.template, base=image.base)


def write_model(folder: Path, image: Image, *, interpreter: Interpreter | None = None) -> None:
    """Write the context of the model's image, for `image.name`.

    It is built on `image.dependencies`, or, where `interpreter` is given, brings the packages
    itself and so builds on any machine that has the base.

    Raises
    ------
    BundleError
        The bundle is not the one `image.digest` names, or a file of it is not what it was.
    """
    bundles.open(image.bundle, digest=image.digest)
    shutil.copytree(image.bundle, folder / "bundle")
    for path, file in sources(image.bundle).items():
        (folder / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / "app" / path)
    if interpreter:
        _lay_packages(folder / "site", image, interpreter)
        _write_dockerfile(folder, image.template, base=image.base, labels=image.labels)
    else:
        _write_dockerfile(folder, image.template, dependencies=image.dependencies, labels=image.labels)


def sources(bundle: Path) -> dict[str, Path]:
    """Return the modules of this library that serving a bundle imports, by their path in the image.

    Found by reading the code from `mlops.serving` and the bundle's own module on: whatever
    else the library grows stays out of the image, and leaves it unchanged.
    """
    found: dict[str, Path] = {}
    waiting = ["mlops.serving.__main__", *_named(bundle / "module.py")]
    while waiting:
        name = waiting.pop()
        file = _file_of(name)
        if file is None or file[0] in found:
            continue
        found[file[0]] = file[1]
        waiting += [name.rpartition(".")[0], *_named(file[1])]
    return dict(sorted(found.items()))


def _file_of(module: str) -> tuple[str, Path] | None:
    if module.partition(".")[0] != "mlops":
        return None
    above = Path(__file__).parents[2]
    stem = module.replace(".", "/")
    paths = (f"{stem}.py", f"{stem}/__init__.py")
    return next(((path, above / path) for path in paths if (above / path).is_file()), None)


def _named(file: Path) -> list[str]:
    return list(_imports(ast.parse(file.read_text()))) if file.is_file() else []


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
            yield str(child.module)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _imports(child)


def _lay_packages(site: Path, image: Image, interpreter: Interpreter) -> None:
    locked = pinned(image.lock.read_text())
    ours = {package for packages in _PACKAGES.values() for package in packages}
    if loose := [
        name for name in image.packages if name not in ours and canonicalize_name(name) not in locked
    ]:
        raise MlopsError(
            f"The model needs {shown(loose)}, which {image.lock.name} does not pin.",
            remedy="Add it to the project's dependencies and lock them anew.",
        )
    wheels = (
        "--python", sys.executable, "--python-version", interpreter.version,
        "--python-platform", interpreter.platform, "--only-binary", ":all:", "--link-mode", "copy",
    )  # fmt: skip
    command = (
        uv.find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--target", str(site),
        *wheels, "--constraint", str(image.lock.resolve()), *image.packages,
    )  # fmt: skip
    # From the context's folder, so that no pyproject.toml of the project has a say.
    done = subprocess.run(command, cwd=site.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MlopsError(
            f"The packages of the image cannot be laid in: {done.stderr.strip()[-1000:]}",
            remedy=f"Check the network and {image.lock.name}.",
        )
    for pattern in _NEEDLESS:
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
    filled = jinja2.Template(template, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = filled.render(base=base, dependencies=dependencies, labels=labels or {})
    (folder / "Dockerfile").write_text(text.strip() + "\n")
    # The service's user is not the one who wrote these, whatever the umask here.
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
