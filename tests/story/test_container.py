"""A model from its table to a container: trained, deployed, asked, and shut in as it should be."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

from tests.flows.orchard import HISTORY, Orchard, plums, stamped

pytestmark = [pytest.mark.engine, pytest.mark.story]


@pytest.fixture
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchard]:
    base = os.environ.get("MLOPS_BASE_IMAGE", "python:3.11-slim")
    root = stamped(
        tmp_path_factory.mktemp("story") / "plums",
        target="docker",
        name="story-plums",
        extra=f"MLOPS_BASE_IMAGE={base}\n",
    )
    orchard = Orchard(root)
    try:
        up = orchard.mlops("up")
        assert up.code == 0, up.err
        yield orchard
    finally:
        down = orchard.mlops("down", "--serving")
    assert down.code == 0, down.err
    assert orchard.project.target.running() == []


def test_a_table_becomes_a_container_that_answers(orchard: Orchard) -> None:
    import docker

    file = orchard.root / ".mlops" / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(file)
    for words in (("ingest", str(file)), ("train",), ("deploy",), ("predict", str(file))):
        told = orchard.mlops(*words)
        assert told.code == 0, told.err
    assert len(told.out.splitlines()) == len(plums(0, HISTORY, season=0))

    project = orchard.project
    said = httpx.get(f"{project.folder.address}/version", trust_env=False).json()
    assert said["digest"] == project.promoted().record.digest

    [serving] = project.target.running()
    facts = docker.from_env().containers.get(serving.ref).attrs
    host = facts["HostConfig"]
    assert facts["Config"]["User"].split(":")[0] not in {"", "0", "root"}
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    published = [
        binding for bindings in facts["NetworkSettings"]["Ports"].values() for binding in bindings or []
    ]
    assert published == []
    [network] = facts["NetworkSettings"]["Networks"]
    assert docker.from_env().networks.get(network).attrs["Internal"] is True
