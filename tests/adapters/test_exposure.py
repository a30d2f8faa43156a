"""The gateway beyond loopback: who sends the token is answered, over TLS, and nobody else."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import mlops
from mlops.adapters.processes import process_id
from mlops.adapters.targets.process import ProcessTarget
from mlops.adapters.traefik import TraefikGateway
from mlops.config.project_folder import find_project
from mlops.deployment.client import Client
from mlops.deployment.exposure import VARIABLE, Exposure, exposure
from mlops.deployment.rollout import Spec, wait_ready
from mlops.errors import ConfigError, DataError, UnavailableError
from mlops.files.ports import free_port
from mlops.project.services import gateway_part
from tests.flows.orchard import bare
from tests.patience import until
from tests.tiny import ROWS, tiny_bundle

TOKEN = "correct-horse-battery-staple"  # the tests' own


@contextmanager
def running(folder: Path, offered: Exposure | None) -> Iterator[TraefikGateway]:
    """Serve a model behind a gateway."""
    gateway = TraefikGateway(
        folder / "gateway", port=free_port(), api_port=free_port(), exposure=lambda: offered
    )
    bundle, target = tiny_bundle(folder / "bundle"), ProcessTarget(folder / "home")
    digest = offered.token_digest if offered else ""
    process = subprocess.Popen(gateway.command())
    try:
        spec = Spec("d1", "1", bundle.folder, bundle.digest, folder / "log", token_digest=digest)
        serving = target.start(spec)
        wait_ready(target, serving)

        def responds() -> bool:
            try:
                gateway.current()
            except UnavailableError:
                return False
            return True

        until("gateway", responds, patience=30)
        gateway.switch(serving)
        yield gateway
    finally:
        for serving in target.running():
            target.stop(serving, drain=0)
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exposed")
    subject = ["-subj", "/CN=predictions", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(
        [*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="module")
def offered(folder: Path) -> Exposure:
    return exposure(
        f"127.0.0.1:{free_port()}", certificate="cert.pem", key="key.pem", token=TOKEN, root=folder
    )


@pytest.fixture(scope="module")
def gateway(folder: Path, offered: Exposure) -> Iterator[TraefikGateway]:
    with running(folder, offered) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def other(gateway: TraefikGateway, offered: Exposure, folder: Path) -> Iterator[httpx.Client]:
    """Another machine, which knows the certificate."""
    trusted = ssl.create_default_context(cafile=folder / "cert.pem")
    with httpx.Client(base_url=f"https://{offered.address}", verify=trusted, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"connection": "authorization, x-forwarded-for"},
        {"authorization": f"Bearer {TOKEN}", "connection": "authorization"},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_without_the_token_nobody_is_answered(other: httpx.Client, path: str, sent: dict[str, str]) -> None:
    refused = other.post(path, json=ROWS[0], headers=sent)
    assert refused.status_code == 401, refused.text
    assert refused.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in refused.text


def test_with_it_the_predictions_are_there_and_nothing_else(other: httpx.Client) -> None:
    other.headers["authorization"] = f"Bearer {TOKEN}"
    try:
        assert other.post("/predict", json=ROWS[0]).status_code == 200
        assert other.post("/invocations", json={"instances": ROWS[:1]}).status_code == 200
        for path in ("/metrics", "/version", "/ready", "/health", "/openapi.json", "/exposed/predict", "/"):
            assert {other.get(path).status_code, other.post(path).status_code} == {404}
    finally:
        del other.headers["authorization"]


def test_it_speaks_tls_only(gateway: TraefikGateway, offered: Exposure) -> None:
    plain = httpx.post(
        f"http://{offered.address}/predict",
        json=ROWS[0],
        headers={"authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    )
    assert plain.status_code == 404


def test_this_machine_needs_no_token_and_counts_who_lacked_it(
    gateway: TraefikGateway, other: httpx.Client
) -> None:
    other.post("/predict", json=ROWS[0])
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False) as here:
        assert here.post("/predict", json=ROWS[0]).status_code == 200
        counted = here.get("/metrics").text
    assert 'mlops_requests_total{path="/exposed/predict",status="401"}' in counted
    assert TOKEN not in counted


def test_a_client_in_python_sends_it(gateway: TraefikGateway, offered: Exposure, folder: Path) -> None:
    address = f"https://{offered.address}"
    with mlops.Client(address, token=TOKEN, certificate=folder / "cert.pem") as client:
        assert client.predict(ROWS[:2])["model_version"] == "1"
    with Client(address, certificate=folder / "cert.pem") as client, pytest.raises(DataError, match="token"):
        client.predict(ROWS[:2])


def test_the_token_is_in_no_file_argument_or_environment(
    gateway: TraefikGateway, other: httpx.Client, folder: Path
) -> None:
    other.post("/predict", json=ROWS[0], headers={"authorization": f"Bearer {TOKEN}"})
    other.post("/predict", json=ROWS[0], headers={"authorization": f"Bearer {TOKEN}x"})
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []
    [serving] = ProcessTarget(folder / "home").running()
    service = process_id.find(serving.ref)
    assert isinstance(service, psutil.Process)
    assert TOKEN not in str([service.cmdline(), service.environ()])


def test_the_services_environment_lacks_what_the_shell_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops.adapters.targets.process import _environment

    monkeypatch.setenv(VARIABLE, TOKEN)
    spec = Spec("d1", "1", tmp_path, "0" * 64, tmp_path, token_digest="1" * 64)
    environment = _environment(spec, 1)
    assert TOKEN not in environment.values()
    assert environment["MLOPS_TOKEN_SHA256"] == "1" * 64


@pytest.mark.parametrize("token", [None, "", "sh0rt", "with spaces in its middle", "ünïcode-ünïcode-ünïcode"])
def test_without_a_token_nothing_is_offered(token: str | None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=VARIABLE) as refused:
        exposure("0.0.0.0:8443", certificate=None, key=None, token=token, root=tmp_path)
    assert not token or token not in str(refused.value)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("")
    with pytest.raises(ConfigError, match=r"deploy\.expose\.key.*key\.pem"):
        exposure("0.0.0.0:8443", certificate="cert.pem", key="key.pem", token=TOKEN, root=tmp_path)


def test_a_project_that_wants_it_without_a_token_starts_no_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with bare(tmp_path) as project:
        file = project.folder.root / "params.yaml"
        text = file.read_text()
        assert "\ndeploy:" in text
        file.write_text(text.replace("\ndeploy:", "\ndeploy:\n  expose:\n    address: 0.0.0.0:8443"))
        wanted = mlops.open(project.folder.root)
        with pytest.raises(ConfigError, match=VARIABLE):
            gateway_part(wanted)
        (project.folder.root / ".env").write_text(f"{VARIABLE}={TOKEN}\n")
        part = gateway_part(mlops.open(project.folder.root))
        assert "0.0.0.0:8443" in (project.folder.home / "gateway" / "traefik.yaml").read_text()
        assert TOKEN not in str([part.command, part.environment])
        assert TOKEN not in repr(find_project(project.folder.root).settings)


def test_a_gateway_that_offers_otherwise_is_another(tmp_path: Path, offered: Exposure) -> None:
    without, with_it = (
        TraefikGateway(tmp_path, port=1, api_port=2, exposure=lambda each=each: each)  # type: ignore[misc]
        for each in (None, offered)
    )
    without.command()
    assert "exposed" not in (tmp_path / "route.yaml").read_text()
    with_it.command()
    assert "/exposed" in (tmp_path / "route.yaml").read_text()
    assert without.digest() != with_it.digest()
