"""In each Python of a command: what would leave this machine is refused, and recorded.

Python imports this by its name from the first folder of PYTHONPATH, in the processes that a command
starts too. MLOPS_GUARD names the file of the record.
"""

import os
import socket
import sys

_RECORD = os.environ.get("MLOPS_GUARD", "")
_HERE = {"", "localhost", "::1", "0.0.0.0", "::", socket.gethostname()}
_SWITCHES = {
    "dvc": "DVC_NO_ANALYTICS",
    "evidently": "DO_NOT_TRACK",
    "iterative_telemetry": "ITERATIVE_DO_NOT_TRACK",
    "mlflow": "MLFLOW_DISABLE_TELEMETRY",
    "onnxruntime": "ORT_DISABLE_TELEMETRY",
    "prefect": "DO_NOT_TRACK",
}
"""Packages that report by themselves, some from native code, and the variable that tells them not to."""


def _refuse(what: str) -> None:
    with open(_RECORD, "a", encoding="utf-8") as record:  # noqa: PTH123  # nothing else is imported here
        record.write(f"{what} by {' '.join(sys.orig_argv[:6])}\n")
    raise ConnectionRefusedError(f"the guard refuses {what}")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            _refuse(f"a connection to {address[0]}:{address[1]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if not _is_here(arguments[0]):
            _refuse(f"a question for {arguments[0]!r}")
    elif event == "import":
        switch = _SWITCHES.get(str(arguments[0]))
        if switch and os.environ.get(switch, "").lower() not in ("1", "true"):
            _refuse(f"{arguments[0]} with {switch} unset")


def _is_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    return name in _HERE or name.startswith("127.") or name == "None"


if _RECORD:
    if "mlops.serving" not in sys.orig_argv:  # which asks for it by name, and asks nobody else
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # it connects in native code, unseen here
    sys.addaudithook(_watch)
