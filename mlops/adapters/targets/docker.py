"""A model in a container, on any engine that speaks Docker's API."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, BuildError, DockerException, ImageNotFound, NotFound, StreamParseError
from docker.models.containers import Container
from urllib3.exceptions import HTTPError

from mlops.adapters.targets import docker_network
from mlops.deployment.image import PROBE, Image, Interpreter, write_dependencies, write_model
from mlops.deployment.rollout import Serving, Spec, TargetContext
from mlops.errors import MlopsError, UnavailableError
from mlops.files import hashing
from mlops.prediction_log.segment import open_folder

__all__ = ["DockerTarget", "available", "check_base", "has_image", "open_target"]

_PROJECT = "org.mlops.project"
_HOME = "org.mlops.home"
_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 30
_WORK_SECONDS = 600
"""For slow requests: to pull or build an image, or to start from a new one."""
_PORT_TRIES = 5
_SERVICE_USER = 10001
_ID_SHOWN = 40
_STATES = ("created", "running", "restarting", "paused", "exited", "dead")
_LOG = Path("/log")  # in a container, which has one folder of it


def available() -> bool:
    """Return whether a container engine responds."""
    try:
        with _engine():
            return True
    except UnavailableError:
        return False


def has_image(name: str) -> bool:
    """Return whether the engine has an image, without pulling it.

    Raises
    ------
    UnavailableError
        No engine responds.
    """
    with _engine() as engine:
        return _has(engine, name)


def check_base(context: TargetContext) -> None:
    """Make sure that models can be built here.

    Raises
    ------
    UnavailableError
        No engine responds, or it neither has the base image nor can pull it.
    """
    with _engine(works=True) as engine:
        _base_id(engine, context.base_image)


def open_target(context: TargetContext) -> DockerTarget:
    """Return the project's target.

    Raises
    ------
    UnavailableError
        No engine responds.
    """
    with _engine():
        pass
    return DockerTarget(
        context.name,
        home=context.home,
        base=context.base_image,
        lock=context.root / "requirements.lock",
        template=context.root / "models" / "Dockerfile",
    )


class DockerTarget:
    """Builds the images of one project's models and runs them.

    A container has a read-only root, no capabilities, a user that is not root, bounds on
    memory, processor and processes, an address that only this machine reaches, no way to any other, and
    its own folder of the prediction log as the one place it can write to. Labels name its project;
    containers without them are not touched.

    Parameters
    ----------
    project
        `data.name` of params.yaml.
    home
        The project's .mlops: of two clones of one project, neither ends the other's services.
    base
        An image with ``python3`` on its path.
    lock
        The project's requirements.lock.
    template
        The project's models/Dockerfile.
    """

    name = "docker"

    def __init__(self, project: str, *, home: Path, base: str, lock: Path, template: Path) -> None:
        self.project = project
        self.home = hashing.of_value(str(home.resolve()))[:12]
        self.base = base
        self.lock = lock
        self.template = template

    @cached_property
    def build_inputs(self) -> Mapping[str, Any]:
        """The base image's name and the digests of the files that images are built by."""
        return {"base": self.base, "files": [hashing.of_file(file) for file in (self.lock, self.template)]}

    def build(self, bundle: Path, *, version: str, digest: str) -> str:
        """Return the image of a bundle, built where there is none like it.

        Raises
        ------
        UnavailableError
            No engine responds, or it cannot pull the base image.
        BundleError
            The bundle is not the one `digest` names.
        MlopsError
            The packages cannot be copied, or the build failed, with its last lines.
        """
        with _engine(works=True) as engine:
            image = Image(
                project=self.project,
                version=version,
                digest=digest,
                bundle=bundle,
                base=self.base,
                base_id=_base_id(engine, self.base),
                lock=self.lock,
                template=self.template.read_text("utf-8"),
            )
            if _labels(engine, image.name).get("org.mlops.identity") == image.identity:
                return image.name
            with tempfile.TemporaryDirectory(prefix="mlops-image-") as scratch:
                if not _has(engine, image.dependencies):
                    context = Path(scratch, "dependencies")
                    context.mkdir()
                    write_dependencies(context, image, self._interpreter(engine))
                    _build(engine, context, image.dependencies)
                context = Path(scratch, "model")
                context.mkdir()
                write_model(context, image)
                _build(engine, context, image.name)
            return image.name

    def start(self, spec: Spec) -> Serving:
        """Start a container from the bundle's image, which is built where it is missing."""
        same = next((serving for serving in self.running() if serving.id == spec.id), None)
        if same is not None and same.digest == spec.digest:
            return same
        image = self.build(spec.bundle, version=spec.version, digest=spec.digest)
        with _engine(works=True) as engine:
            _remove(engine, self._container_name(spec.id), drain=0)
            for tries_left in reversed(range(_PORT_TRIES)):
                labels = {_PROJECT: self.project, _HOME: self.home}
                reached = docker_network.reach(
                    engine, self._network, labels, self._containers(engine, *_STATES)
                )
                container = engine.containers.create(image, **self._options(spec), **reached)
                try:
                    container.start()
                    return _serving(container)
                except BaseException as exc:
                    # One that couldn't start would stay behind as Created, and keep its name.
                    container.remove(force=True)
                    if not (tries_left and docker_network.is_taken(exc)):
                        raise
        raise AssertionError("unreachable")

    def running(self, *, unhealthy: bool = False) -> list[Serving]:
        """Return the running containers, oldest first; with `unhealthy` restarting and paused ones too."""
        with _engine() as engine:
            containers = self._containers(engine, "running", *(("restarting", "paused") if unhealthy else ()))
            return [_serving(one) for one in sorted(containers, key=lambda one: str(one.attrs["Created"]))]

    def stop(self, serving: Serving, *, drain: float) -> None:
        """Stop a container, killing it after `drain` seconds, and remove it."""
        with _engine() as engine:
            _remove(engine, serving.ref, drain=drain)
            if not self._containers(engine, *_STATES):  # or it would be missed at a restart
                docker_network.remove_unused(engine, self._network)

    def logs(self, serving: Serving) -> str:
        """Return the last lines of a container's output."""
        with _engine() as engine:
            try:
                return str(engine.containers.get(serving.ref).logs(tail=50).decode(errors="replace"))
            except NotFound:
                return ""

    def prune(self, *, keep: int, dry: bool = False) -> list[str]:
        """Remove the project's containers that ended and its images but for the newest `keep`.

        An image that a container runs from stays, whatever its age; so do the packages of an
        image that stays. Returns the models' images removed, by their ids.
        """
        with _engine() as engine:
            ended = {one.id for one in self._containers(engine, "created", "exited", "dead")}
            for id in ended if not dry else ():
                _remove(engine, str(id), drain=0)
            others = engine.containers.list(all=True, ignore_removed=True)
            used = {one.attrs["Image"] for one in others if one.id not in ended}
            images = sorted(
                engine.images.list(filters={"label": f"{_PROJECT}={self.project}"}),
                key=lambda image: str(image.attrs["Created"]),
                reverse=True,
            )
            tagged = [image for image in images if image.tags]
            stay = used | {image.id for image in tagged[:keep]}
            gone = [image for image in images if image.id not in stay]
            if not dry:
                for image in gone:
                    engine.images.remove(image.id, force=True)
                _remove_unneeded(engine, {image.labels["org.mlops.dependencies"] for image in gone})
            return [f"image {image.id[:_ID_SHOWN]}" for image in gone]

    def _containers(self, engine: docker.DockerClient, *states: str) -> list[Container]:
        # The deployment's label too: a container that a person runs has the image's labels.
        ours = [f"{_HOME}={self.home}", f"{_PROJECT}={self.project}", "org.mlops.deployment"]
        filters = {"label": ours, "status": list(states)}
        return list(engine.containers.list(all=True, filters=filters, ignore_removed=True))

    def _interpreter(self, engine: docker.DockerClient) -> Interpreter:
        try:
            printed = engine.containers.run(
                self.base, ["-c", PROBE], entrypoint="python3", remove=True, network_disabled=True
            )
        except DockerException as exc:
            raise MlopsError(
                f"The base image {self.base} has no working python3: {exc}.",
                remedy="Set MLOPS_BASE_IMAGE to an image that has one.",
            ) from exc
        return Interpreter.parse(printed.decode())

    def _container_name(self, id: str) -> str:
        return f"mlops-{self.project}-{self.home}-{id}"

    @property
    def _network(self) -> str:
        return f"mlops-{self.project}-{self.home}"

    def _options(self, spec: Spec) -> dict[str, Any]:
        own = open_folder(spec.log, spec.id)
        return {
            "name": self._container_name(spec.id),
            "labels": {
                _PROJECT: self.project,
                _HOME: self.home,
                "org.mlops.deployment": spec.id,
                "org.mlops.version": spec.version,
                "org.mlops.digest": spec.digest,
            },
            "environment": spec.environment,
            "user": _writer(spec),
            "volumes": {str(own.resolve()): {"bind": str(open_folder(_LOG, spec.id)), "mode": "rw"}},
            "read_only": True,
            "tmpfs": {"/tmp": "size=64m"},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": spec.memory,
            "nano_cpus": int(spec.cpus * 1e9),
            "pids_limit": 128,
            "restart_policy": {"Name": "unless-stopped"},
        }


@contextmanager
def _engine(*, works: bool = False) -> Iterator[docker.DockerClient]:
    """Connect to the engine and translate its errors; `works` allows slow requests."""
    try:
        client = docker.from_env(timeout=_CONNECT_SECONDS)
    except (DockerException, requests.RequestException) as exc:
        raise UnavailableError(
            "The container engine",
            os.environ.get("DOCKER_HOST", "its socket"),
            cause=exc,
            remedy="Start it, or set deploy.target to process in params.yaml.",
        ) from exc
    client.api.timeout = _WORK_SECONDS if works else _ANSWER_SECONDS
    try:
        yield client
    except DockerException as exc:  # first: what the engine answered is an error of requests too
        raise MlopsError(f"The container engine refused: {exc}.") from exc
    except (requests.RequestException, HTTPError, StreamParseError) as exc:
        raise UnavailableError(
            "The container engine", client.api.base_url, cause=exc, remedy="Start it again."
        ) from exc
    finally:
        client.close()


def _build(engine: docker.DockerClient, context: Path, name: str) -> None:
    try:
        engine.images.build(path=str(context), tag=name, rm=True, forcerm=True, pull=False)
    except BuildError as exc:
        lines = "".join(str(line.get("stream", "")) for line in exc.build_log)
        raise MlopsError(f"The image {name} failed to build: {exc}\n{lines[-1500:]}") from exc


def _has(engine: docker.DockerClient, name: str) -> bool:
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def _base_id(engine: docker.DockerClient, base: str) -> str:
    """Return the id of an image, pulled where it is missing."""
    try:
        try:
            return str(engine.images.get(base).id)
        except ImageNotFound:
            return str(engine.images.pull(base).id)
    except (APIError, requests.RequestException) as exc:
        raise UnavailableError(
            f"The base image {base}",
            "the engine or its registry",
            cause=getattr(exc, "explanation", None) or exc,
            remedy="Load or build an image with Python, and set MLOPS_BASE_IMAGE to it.",
        ) from exc


def _labels(engine: docker.DockerClient, name: str) -> Mapping[str, str]:
    """Return an image's labels, none where there is no such image."""
    try:
        return engine.images.get(name).labels or {}
    except ImageNotFound:
        return {}


def _remove_unneeded(engine: docker.DockerClient, dependencies: set[str]) -> None:
    """Remove those images of packages that no model's image, of any project, is built on now."""
    models = engine.images.list(filters={"label": _PROJECT})
    for name in dependencies - {image.labels.get("org.mlops.dependencies") for image in models}:
        with suppress(ImageNotFound):
            engine.images.remove(name)


def _serving(container: Container) -> Serving:
    labels = container.labels
    return Serving(
        id=labels["org.mlops.deployment"],
        version=labels["org.mlops.version"],
        digest=labels["org.mlops.digest"],
        target=DockerTarget.name,
        address=docker_network.address(container),
        ref=str(container.id),
        image=str(container.attrs["Image"]),
    )


def _remove(engine: docker.DockerClient, ref: str, *, drain: float) -> None:
    try:
        container = engine.containers.get(ref)
        if container.status == "paused":  # a paused one gets no signal
            container.unpause()
        container.stop(timeout=int(drain))
        container.remove(force=True, v=True)
    except NotFound:
        pass


def _writer(spec: Spec) -> str:
    """Make the service's own folder of the log; return a user that can write to it and is not root."""
    folder = open_folder(spec.log, spec.id)
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() != 0:
        return f"{os.getuid()}:{os.getgid()}"
    # By what was opened, not by name: a container may have put a link to a file of the machine here.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(opened, _SERVICE_USER, _SERVICE_USER)
    finally:
        os.close(opened)
    return f"{_SERVICE_USER}:{_SERVICE_USER}"
