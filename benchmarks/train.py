"""`mlops train`, whole command, over the bare script that fits, evaluates, plots and logs the same.

    .venv/bin/python benchmarks/train.py [rounds]

Side by side, in turn, against the same servers. Goal: at most 1.5 times; nothing changed, 2.5 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from scratch import run, running
from streams.flights import flights

HERE = Path(__file__).parent


def seconds(*command: object) -> float:
    """Time one whole command; its failure is ours."""
    started = time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode not in {0, 3}:
        raise SystemExit(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


def main(rounds: int) -> None:
    """Print the two figures."""
    with running() as project:
        root, file = project.folder.root, project.folder.home / "rows.parquet"
        flights(1, 2).to_parquet(file)
        run(project, "ingest", file=file)
        verb = [Path(sys.executable).with_name("mlops"), "--project", root, "train"]
        bare = [sys.executable, HERE / "bare_train.py", root, project.folder.mlflow_uri]
        seconds(*verb)
        seconds(*bare)
        pairs = [(seconds(*verb, "--force"), seconds(*bare)) for _ in range(rounds)]
        unchanged = [seconds(*verb) for _ in range(rounds)]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"mlops train            {ours:6.2f} s   median of {rounds}")
    print(f"bare script            {theirs:6.2f} s")
    print(f"ratio                  {statistics.median(a / b for a, b in pairs):6.2f}     goal <= 1.5")
    print(f"nothing changed        {statistics.median(unchanged):6.2f} s   goal <= 2.5 s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
