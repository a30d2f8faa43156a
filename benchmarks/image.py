"""How large a model's image is, and how long a retrained model waits for its own.

    MLOPS_BASE_IMAGE=python:3.11-slim .venv/bin/python benchmarks/image.py

The flights' model as it compiles and as fitted, then the compiled one under another version, as after a
retraining: its packages lie there already. Goals, with the base: 320 MB compiled, 520 MB as fitted; the
second image in 2 s, ready in 2 s.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import docker
from scratch import trained
from serve import uncompiled

from mlops.adapters.targets.docker import DockerTarget
from mlops.config.settings import load_settings
from mlops.deployment.rollout import Spec, wait_ready
from mlops.scaffold.template import template

SIZES = {"compiled": 320, "fitted": 520}
SECONDS = 2


def main() -> None:
    """Print the figures; the images of the models are removed again, that of their packages is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compiled = trained(folder / "project", 1, 2)
        target = DockerTarget(
            "benchmark",
            home=folder / "home",
            base=load_settings().base_image,
            lock=folder / "project" / "requirements.lock",
            template=template() / "models" / "Dockerfile",
        )
        engine, made = docker.from_env(), set()
        try:
            for kind, bundle in {
                "compiled": compiled,
                "fitted": uncompiled(compiled, folder / "fitted"),
            }.items():
                made.add(target.build(bundle.folder, version="1", digest=bundle.digest))
                size = engine.images.get(f"mlops-benchmark:{bundle.digest[:12]}").attrs["Size"] / 1e6
                print(f"{kind:<9} {size:5.0f} MB   goal <= {SIZES[kind]} MB")
            started = time.perf_counter()
            made.add(target.build(compiled.folder, version="2", digest=compiled.digest))
            print(f"a retrained model's image  {time.perf_counter() - started:5.2f} s   goal <= {SECONDS} s")
            spec = Spec("ready", "2", compiled.folder, compiled.digest, folder / "log")
            started = time.perf_counter()
            serving = target.start(spec)
            try:
                wait_ready(target, serving)
                print(f"ready after  {time.perf_counter() - started:5.2f} s   goal <= {SECONDS} s")
            finally:
                target.stop(serving, drain=1)
        finally:
            for image in made:
                engine.images.remove(image, force=True)
            engine.close()


if __name__ == "__main__":
    main()
