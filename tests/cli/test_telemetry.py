"""Nothing is reported: not by a command at a terminal in a new home folder, not by a package of the lock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from benchmarks.foreign_settings import GUARD, MLOPS, at_a_terminal
from mlops import telemetry
from mlops.model.bundle import Bundle
from tests.tiny import tiny_bundle

ROOT = Path(__file__).parents[2]
NAME = (
    "([A-Z][A-Z0-9_]*)?(NO_ANALYTICS|DO_NOT_TRACK|TELEMETRY|NO_TRACK|DISABLE_ANALYTICS|ANALYTICS_ENABLED"
    "|OPT_OUT|OPTOUT|USAGE_STATS|DISABLE_TRACKING|DISABLE_USAGE)[A-Z0-9_]*"
)
SWITCHES = {"*.py": f"[\"']{NAME}[\"']", "*.so*": rf"\b{NAME}\b"}
"""By the kind of file: names in quotes, or in the strings of native code."""
NO_SWITCH = {
    "GOOGLE_CLOUD_CPP_OPENTELEMETRY_TRACING": "of pyarrow's client for Google's store: spans for its user",
    "OPTOUT": "a word of Redis' protocol",
    "TELEMETRY_FEATURE_INFERENCE_TABLE": "a value in the API of Databricks, as the next three",
    "TELEMETRY_FEATURE_LOGS": "",
    "TELEMETRY_FEATURE_METRICS": "",
    "TELEMETRY_FEATURE_TRACES": "",
    "TELEMETRY_SESSION": "a row of Prefect's server, of what PREFECT_SERVER_ANALYTICS_ENABLED turns off",
    "PREFECT_API_TELEMETRY_ENVIRONMENT": "a name in what PREFECT_SERVER_ANALYTICS_ENABLED turns off",
}
"""Names that read like switches, and what they are."""


def guarded(folder: Path, **more: str) -> dict[str, str]:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(GUARD),
        "MLOPS_GUARD": str(folder / "outside"), **more,
    }  # fmt: skip


def outside(folder: Path) -> str:
    record = folder / "outside"
    return record.read_text("utf-8") if record.exists() else ""


@pytest.mark.parametrize(
    ("program", "refused"),
    [
        ("import socket; socket.socket().connect(('192.0.2.1', 80))", "192.0.2.1:80"),
        ("import socket; socket.getaddrinfo('telemetry.example.org', 443)", "telemetry.example.org"),
        ("import onnxruntime", "onnxruntime with ORT_DISABLE_TELEMETRY unset"),
        ("import prefect", "prefect with DO_NOT_TRACK unset"),
    ],
)
def test_the_guard_sees_what_would_leave(tmp_path: Path, program: str, refused: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], env=guarded(tmp_path), capture_output=True)
    assert done.returncode == 1
    assert refused in outside(tmp_path)


def test_the_guard_lets_this_machine_be_asked(tmp_path: Path) -> None:
    program = (
        "import socket\n"
        "with socket.create_server(('127.0.0.1', 0)) as s, socket.create_connection(s.getsockname()): pass\n"
        "socket.getaddrinfo('localhost', 80)"
    )
    subprocess.run([sys.executable, "-c", program], env=guarded(tmp_path), check=True)
    assert outside(tmp_path) == ""


def test_a_new_project_at_a_terminal_reports_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "size,ripe\n" + "".join(f"{n % 17},{'yes' if n % 3 else 'no'}\n" for n in range(200)), "utf-8"
    )
    for words in (["init", "t.csv", "--target", "ripe", "--try", "0"], ["status"], ["doctor"]):
        command = [str(MLOPS), "--project", str(tmp_path / "project"), *words]
        done = at_a_terminal(command, cwd=tmp_path, env=guarded(tmp_path))
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0 or words == ["doctor"], done.stderr
    assert outside(tmp_path) == ""


def test_a_service_in_the_image_turns_telemetry_off_by_itself(tmp_path: Path) -> None:
    bundle: Bundle = tiny_bundle(tmp_path / "bundle")
    program = (
        "import sys\nfrom pathlib import Path\nfrom mlops.model import bundle, predictor\n"
        "predictor.load(bundle.open(Path(sys.argv[1])))\nassert 'onnxruntime' in sys.modules"
    )
    command = [sys.executable, "-c", program, str(bundle.folder)]
    done = subprocess.run(command, cwd=ROOT, env=guarded(tmp_path), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert outside(tmp_path) == ""


def test_every_switch_of_an_installed_package_is_known() -> None:
    """All of the lock, of the image, and of what develops them: their sources and their native code."""
    found: set[str] = set()
    for files, pattern in SWITCHES.items():
        command = ["grep", "-rhoaE", f"--include={files}", pattern, sysconfig.get_path("purelib")]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        found |= {name.strip("\"'") for name in done.stdout.split()}
    assert telemetry.SWITCHES.keys() - found <= {"PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY"}
    assert sorted(found - telemetry.SWITCHES.keys() - NO_SWITCH.keys()) == []


def test_the_gateway_asks_nobody_for_a_newer_one() -> None:
    text = (ROOT / "mlops" / "adapters" / "traefik.py").read_text("utf-8")
    assert re.search(r'"checkNewVersion": False, "sendAnonymousUsage": False', text)
