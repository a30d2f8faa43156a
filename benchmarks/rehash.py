"""How fast a lake is hashed against its version, beside `md5sum` of the same files.

    .venv/bin/python benchmarks/rehash.py [MB] [rounds]

In turn, with the files in the system's memory, so that neither waits for the disk.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlops.adapters.dvc.tree import DvcTree
from mlops.config.paths import LAKE

FILES = 200


def lake(root: Path, megabytes: int) -> DvcTree:
    """Make a project whose lake has that many bytes, in partitions, and version it."""
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    rng = np.random.default_rng(7)
    for number in range(FILES):
        file = root / LAKE / f"{2000 + number // 12}-{1 + number % 12:02d}" / f"{number:06d}.parquet"
        file.parent.mkdir(parents=True)
        file.write_bytes(rng.bytes(megabytes * 1_000_000 // FILES))
    tree = DvcTree.init(root)
    tree.add()
    return tree


def seconds(action: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main(megabytes: int, rounds: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="mlops-benchmark-") as folder:
        tree = lake(Path(folder) / "project", megabytes)
        files = [str(file) for file in sorted((tree.root / LAKE).rglob("*.parquet"))]
        aside = tree.root / "aside"

        def md5sum() -> None:
            subprocess.run(["md5sum", *files], capture_output=True, check=True)

        tree.verify()
        taken = [
            (seconds(tree.verify), seconds(lambda: tree.restore(aside=aside)), seconds(md5sum))
            for _ in range(rounds)
        ]
    ours, restoring, theirs = zip(*taken, strict=True)
    print(f"{megabytes} MB in {FILES} files, median of {rounds}")
    for name, times in (("verify", ours), ("restore, nothing to do", restoring), ("md5sum", theirs)):
        print(f"{name:<20} {megabytes / statistics.median(times):7.0f} MB/s")
    for name, times in (("verify", ours), ("restore", restoring)):
        ratio = statistics.median(a / b for a, b in zip(times, theirs, strict=True))
        print(f"{name} over md5sum{'':<{9 - len(name)}} {ratio:7.2f}")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [1000, 5][len(given) :]))
