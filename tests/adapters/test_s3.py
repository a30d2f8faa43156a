"""Data on a real S3 server: pushed, lost here, pulled again, every byte as it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from dvc.config import Config
from s3fs import S3FileSystem

from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.sources.remote_files import AddressSource
from mlops.config.paths import LAKE
from mlops.errors import DataError, MlopsError
from mlops.files.ports import free_port
from tests.patience import until

KEY, SECRET, BUCKET = "ada", "lovelace", "plums"
WEED = Path(sys.executable).with_name("weed")
PATIENCE = 60.0


@dataclass(frozen=True)
class S3:
    """A server, and a client that looks at it without DVC."""

    address: str
    client: S3FileSystem

    def configure(self, root: Path, *, secret: str = SECRET, bucket: str = BUCKET) -> None:
        """Make a folder of the bucket the default remote of a project, as `dvc remote` does."""
        with Config(root / ".dvc").edit("repo") as ours:
            ours["core"]["remote"] = "store"
            url = f"s3://{bucket}/{root.parent.name}"
            ours["remote"]["store"] = {"url": url, "endpointurl": self.address}
        with Config(root / ".dvc").edit("local") as secrets:
            secrets["remote"]["store"] = {"access_key_id": KEY, "secret_access_key": secret}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server with one bucket and one person who may use it; it ends with the tests."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "data").mkdir()
    allowed = {
        "name": KEY,
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [allowed]}))
    parts = ("master", "volume", "filer", "s3")
    ports = {f"-{part}.port{kind}": free_port() for part in parts for kind in ("", ".grpc")}
    command = [
        str(WEED), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64", "-volume.max=8",
        *(f"{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    address = f"http://127.0.0.1:{ports['-s3.port']}"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        client = S3FileSystem(key=KEY, secret=SECRET, endpoint_url=address, skip_instance_cache=True)
        _await(server, address, client, folder / "log")
        yield S3(address, client)
    finally:
        # It would flush for minutes, to a folder that nobody needs any more.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await(server: subprocess.Popen[bytes], address: str, client: S3FileSystem, log: Path) -> None:
    """Wait until the server takes an object: it answers before it has a place to put one."""

    def takes_an_object() -> bool:
        assert server.poll() is None, log.read_text(encoding="utf-8")[-2000:]
        try:
            httpx.get(f"{address}/healthz", timeout=1, trust_env=False)
            if not client.exists(BUCKET):
                client.mkdir(BUCKET)
            client.pipe(f"{BUCKET}/ready", b"1")
        except (httpx.HTTPError, OSError):
            return False
        return True

    until("S3 server", takes_an_object, patience=PATIENCE)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DvcTree:
    """A project whose lake has a small file and one that goes up in several parts."""
    for level in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{level}", os.devnull)
    root = tmp_path / "project"
    (root / LAKE / "2026-01").mkdir(parents=True)
    (root / LAKE / "2026-01/000001-aa.csv").write_text("1\n2\n")
    (root / LAKE / "2026-01/000002-bb.bin").write_bytes(np.random.default_rng(7).bytes(12_000_000))
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    tree = DvcTree.init(root)
    tree.add()
    return tree


def objects(tree: DvcTree) -> dict[str, Path]:
    files = (tree.cache() / "files/md5").glob("??/*")
    return {file.parent.name + file.name: file for file in files}


def test_what_was_pushed_comes_back_whole_after_the_cache_is_lost(s3: S3, tree: DvcTree) -> None:
    s3.configure(tree.root)
    remote, md5s = Remote(tree.root, "store"), list(objects(tree))
    done = remote.push(md5s)
    assert (done.moved, done.there, done.failed) == (3, 0, {})
    assert done.bytes > 12_000_000
    assert remote.push(md5s).there == 3
    kept = s3.client.find(f"{BUCKET}/{tree.root.parent.name}")
    assert sorted("".join(path.split("/")[-2:]) for path in kept) == sorted(md5s)

    version = tree.version()
    shutil.rmtree(tree.cache() / "files")
    shutil.rmtree(tree.root / LAKE)
    done = remote.pull(md5s)
    assert (done.moved, done.failed) == (3, {})
    tree.checkout()
    assert tree.verify() == version


def test_an_object_that_rotted_over_there_is_not_kept(s3: S3, tree: DvcTree, tmp_path: Path) -> None:
    s3.configure(tree.root)
    remote, held = Remote(tree.root, "store"), objects(tree)
    remote.push(held)
    [small] = (md5 for md5, file in held.items() if file.read_bytes() == b"1\n2\n")
    s3.client.pipe(f"{BUCKET}/{tree.root.parent.name}/files/md5/{small[:2]}/{small[2:]}", b"1\n3\n")
    shutil.rmtree(tree.cache() / "files")
    done = remote.pull(held)
    assert (done.moved, done.failed) == (2, {small: "altered"})
    (tree.root / LAKE / "2026-01/000001-aa.csv").unlink()
    with pytest.raises(DataError, match=r"000001-aa\.csv .*'store' has no intact copy: altered"):
        tree.restore(aside=tmp_path / "aside")


def test_a_server_that_knows_the_person_answers(s3: S3, tree: DvcTree) -> None:
    s3.configure(tree.root)
    assert Remote(tree.root, "store").ask().startswith(f"s3://{BUCKET}/")


@pytest.mark.parametrize("wrong", [{"secret": "byron"}, {"bucket": "pears"}], ids=["secret", "bucket"])
def test_what_the_server_refuses_is_an_error_with_its_reason(s3: S3, tree: DvcTree, wrong) -> None:
    s3.configure(tree.root, **wrong)
    for attempt in (Remote(tree.root, "store").ask, lambda: Remote(tree.root, "store").push(objects(tree))):
        with pytest.raises(MlopsError, match=r"'store' at s3://.* failed: .*Error"):
            attempt()


def test_tables_in_a_bucket_are_a_source_by_the_environments_credentials(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    source = AddressSource(f"s3://{BUCKET}/incoming/*.csv")
    s3.client.pipe(f"{BUCKET}/incoming/a.csv", b"plum,size\np1,4.0\n")
    s3.client.pipe(f"{BUCKET}/incoming/b.csv", b"plum,size\np2,5.0\n")
    first = list(source.fetch(None, tmp_path / "first"))
    assert [each.file.read_bytes() for each in first] == [b"plum,size\np1,4.0\n", b"plum,size\np2,5.0\n"]
    position = first[-1].position
    assert list(source.fetch(position, tmp_path / "second")) == []
    s3.client.pipe(f"{BUCKET}/incoming/a.csv", b"plum,size\np1,4.5\n")
    [changed] = source.fetch(position, tmp_path / "third")
    assert (changed.name, changed.file.read_bytes()) == ("a.csv", b"plum,size\np1,4.5\n")


def test_a_bucket_that_refuses_is_named(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(MlopsError, match="s3://plums/refused") as told:
        list(AddressSource(f"s3://{BUCKET}/refused/*.csv").fetch(None, tmp_path))
    assert "wrong" not in str(told.value)
