"""How long `mlops init` takes on a large CSV, and how much memory, beside reading it once with pandas.

    .venv/bin/python benchmarks/init.py [megabytes]

Both are whole commands, one after the other. The memory of init must not grow with the file: run it
with 100 and with 1000 and compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 200_000
READ = "import sys, pandas; [None for _ in pandas.read_csv(sys.argv[1], chunksize=100_000)]"


def table(first: int) -> pd.DataFrame:
    """Some rows of orders; the column `late` can be told from them."""
    rng = np.random.default_rng(first)
    amount, shop = rng.gamma(2.0, 30.0, ROWS).round(2), rng.integers(0, 5000, ROWS)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(first + np.arange(ROWS), "s")
    return pd.DataFrame(
        {
            "order_id": np.char.add("o", np.arange(first, first + ROWS).astype(str)),
            "ordered_at": at.strftime("%Y-%m-%dT%H:%M:%S"),
            "shop": np.char.add("shop-", shop.astype(str)),
            "channel": rng.choice(["web", "app", "phone"], ROWS),
            "amount": amount,
            "items": rng.integers(1, 20, ROWS),
            "weight": rng.normal(3, 1, ROWS),
            "late": rng.random(ROWS) < 0.1 + 0.3 * (amount > 60),
        }
    )


def measured(*command: object) -> tuple[float, float]:
    """Return a whole command's seconds, and the most memory it held, MB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main(megabytes: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="mlops-benchmark-") as folder:
        file, rows = Path(folder) / "orders.csv", 0
        while not file.exists() or file.stat().st_size < megabytes * 1e6:
            table(rows).to_csv(file, mode="a", header=not rows, index=False)
            rows += ROWS
        project = Path(folder) / "orders"
        program = Path(sys.executable).with_name("mlops")
        init = measured(program, "-C", project, "init", file, "--target", "late", "--time", "ordered_at")
        read = measured(sys.executable, "-c", READ, file)
    print(f"{file.name}: {rows:,} rows, {megabytes} MB")
    print(f"mlops init        {init[0]:7.1f} s   {init[1]:7.0f} MB")
    print(f"pandas, read once {read[0]:7.1f} s   {read[1]:7.0f} MB")
    print(f"ratio             {init[0] / read[0]:7.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
