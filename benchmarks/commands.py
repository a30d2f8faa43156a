"""How long a person waits for the commands that only look, beside a Python that does nothing.

    .venv/bin/python benchmarks/commands.py [rounds]

Against a project whose servers run. Goals: `mlops --help` 0.3 s, `mlops status` 1 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from scratch import running

GOALS = {"mlops --help": 0.3, "mlops status": 1.0}


def seconds(*command: object) -> float:
    """Time one whole command; its failure is ours."""
    started = time.perf_counter()
    subprocess.run([str(word) for word in command], capture_output=True, check=True)
    return time.perf_counter() - started


def main(rounds: int) -> None:
    """Print the figures."""
    with running() as project:
        program = Path(sys.executable).with_name("mlops")
        commands: dict[str, list[object]] = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "mlops --help": [program, "--help"],
            "mlops status": [program, "--project", project.folder.root, "status"],
        }
        for command in commands.values():
            seconds(*command)
        # In turn, so that what else the machine does falls on all alike.
        taken = [{name: seconds(*command) for name, command in commands.items()} for _ in range(rounds)]
    for name in commands:
        goal = f"   goal <= {GOALS[name]} s" if name in GOALS else ""
        print(f"{name:<16} {statistics.median(times[name] for times in taken):6.2f} s{goal}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
