"""What a batch costs as the lake grows, and how fast a version is hashed again.

    .venv/bin/python benchmarks/ingest.py [rounds]

A batch of 10,000 rows goes into lakes of 10, 100 and 1,000 partitions by the flow `ingest`, its servers
up. Then one CSV is read in pieces at two sizes, for the memory that takes. Goals: 0.1 s more per 1,000
partitions; memory flat.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scratch import run, running

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE
from mlops.data.lake import Lake
from mlops.files import yaml
from mlops.project.context import Project
from mlops.scaffold.template import stamp

ROWS = 10_000
PARTITIONS = (10, 100, 1_000)
GOAL = 0.1
SIZES = (1_000_000, 4_000_000)
READ = """
from datetime import UTC, datetime
from pathlib import Path
from mlops.data.batch import examine
from mlops.data.lake import Lake
from mlops.schema import Schema
schema = Schema({{"size": "number", "colour": "category"}}, "ripe", "binary", "picked", "plum")
with Lake(Path({folder!r}) / "read").staging() as staging:
    examine(Path({file!r}), "t", schema, None, now=datetime.now(UTC), staging=staging)
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def plums(rows: int, *, months: int = 1, seed: int = 0) -> pd.DataFrame:
    """Make up a table whose rows are spread over some months."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 28, rows)
    month = np.arange(rows) % months
    when = pd.to_datetime({"year": 1940 + month // 12, "month": 1 + month % 12, "day": 1 + days}, utc=True)
    return pd.DataFrame(
        {
            "plum": [f"p{seed}-{i}" for i in range(rows)],
            "picked": when,
            "size": rng.normal(4, 1, rows),
            "colour": rng.choice(["red", "blue", "yellow"], rows),
            "ripe": rng.random(rows) < 0.5,
        }
    )


def new_project(folder: Path, beside: Project, partitions: int) -> Project:
    """Stamp a project for this table that uses the servers of another, with a lake of so many partitions."""
    stamp(folder)
    (folder / ".env").write_text(f"PREFECT_API_URL={beside.folder.prefect_uri}\n", "utf-8")
    path = folder / "params.yaml"
    params = yaml.read(path)
    features = {"size": "number", "colour": "category"}
    roles = {"target": "ripe", "time": "picked", "key": "plum"}
    params["data"] = {"name": f"plums-{partitions}", "features": features, **roles}
    path.write_text(yaml.dump(params), "utf-8")
    project = Project.at(folder)
    Lake(folder / LAKE).append(plums(20 * partitions, months=partitions), project.schema)
    DvcTree(folder).add(LAKE)
    Tree(folder).commit_paths(["params.yaml", f"{LAKE}.dvc", "data/.gitignore"], f"Begin with {partitions}")
    return project


def seconds(project: Project, folder: Path, seed: int) -> float:
    """Time the flow on one more batch."""
    file = folder / f"{seed}.parquet"
    plums(ROWS, seed=seed).to_parquet(file)
    started = time.perf_counter()
    run(project, "ingest", file=file)
    return time.perf_counter() - started


def growing(rounds: int) -> None:
    """Print what a batch costs by the partitions held."""
    with running() as servers, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        projects = {count: new_project(folder / str(count), servers, count) for count in PARTITIONS}
        taken: dict[int, list[float]] = {count: [] for count in PARTITIONS}
        # In turn, so that what else the machine does falls on all alike; the first pays the imports.
        for turn in range(rounds + 1):
            for count, project in projects.items():
                taken[count].append(seconds(project, folder, seed=1_000 * count + turn))
        first = statistics.median(taken[PARTITIONS[0]][1:])
        for count, times in taken.items():
            median = statistics.median(times[1:])
            more = f"{median / first:.2f} times the first, {median - first:+.2f} s"
            goal = f"   goal <= {GOAL} s more" if count == PARTITIONS[-1] else ""
            print(f"partitions: {count:>5,}   {median:5.2f} s   {more}{goal}")
        hashing(projects[PARTITIONS[0]])


def hashing(project: Project) -> None:
    """Print how fast a version is hashed against its pointer."""
    root = project.folder.root
    Lake(root / LAKE).append(plums(3_000_000, months=60, seed=99), project.schema)
    data = DvcTree(root)
    data.add(LAKE)
    size = sum(file.stat().st_size for file in (root / LAKE).rglob("*.parquet")) / 1e6
    started = time.perf_counter()
    data.verify(LAKE)
    seconds = time.perf_counter() - started
    print(f"hashed again: {size:,.0f} MB in {seconds:.2f} s, {size / seconds:,.0f} MB/s")


def memory() -> None:
    """Print the most memory that reading a CSV took, at two sizes."""
    with tempfile.TemporaryDirectory() as folder:
        for rows in SIZES:
            file = Path(folder) / "t.csv"
            file.unlink(missing_ok=True)
            for start in range(0, rows, 500_000):
                piece = plums(500_000, months=12, seed=start)
                piece.to_csv(file, mode="a", header=start == 0, index=False)
            program = READ.format(folder=folder, file=str(file))
            started = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
            seconds, size = time.perf_counter() - started, file.stat().st_size / 1e6
            most = float(done.stdout)
            print(f"{rows:>9,} rows, {size:5,.0f} MB of CSV: {most:5,.0f} MB at most, {seconds:.1f} s")


if __name__ == "__main__":
    growing(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    memory()
