"""How the tests themselves run."""

from __future__ import annotations

import ast
import collections
import os
import sys
from pathlib import Path

import numpy as np  # noqa: F401  # it has a pool of threads,
import sklearn.cluster  # noqa: F401  # and so has this
from threadpoolctl import threadpool_info

from tests.conftest import dearest_first

TESTS = Path(__file__).parents[1]
PATIENT = {"patience.py", "outside.py"}
"""Where waiting is written: the helper, and a deploy target of somebody else's."""


def test_a_process_of_tests_computes_on_as_many_threads_as_it_was_given() -> None:
    pools = {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()}
    assert {"blas", "openmp"} <= pools.keys()
    assert pools["openmp"] == int(os.environ["OMP_NUM_THREADS"])
    assert pools["blas"] == int(os.environ["OPENBLAS_NUM_THREADS"])


def test_workers_take_what_is_long_first_and_a_file_as_a_whole() -> None:
    ids = [
        "tests/adapters/test_git.py::test_a",
        "tests/flows/test_serving.py::test_b",
        "tests/flows/test_tuning.py::test_c",
        "tests/flows/test_undoing.py::test_d",
        "tests/story/test_tables.py::test_e",
        "tests/unit/test_few.py::test_f",
        "tests/unit/test_many.py::test_g",
        "tests/unit/test_many.py::test_h",
    ]
    assert [nodeid[-1] for nodeid in dearest_first(ids)] == list("bcdeaghf")


def test_a_module_of_the_tests_is_imported_once() -> None:
    files = [
        file
        for module in sys.modules.values()
        if (file := getattr(module, "__file__", None)) and Path(file).is_relative_to(TESTS)
    ]
    assert files
    assert [file for file, times in collections.Counter(files).items() if times > 1] == []


def test_a_test_waits_for_a_condition_or_says_why_time_itself_matters() -> None:
    """By `until` of tests/patience.py; what a program of a test does in another process is its own."""
    found = []
    for file in TESTS.rglob("*.py"):
        lines = file.read_text().splitlines()
        sleeps = [
            node.lineno
            for node in ast.walk(ast.parse("\n".join(lines)))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
        ]
        found += [f"{file.name}:{n}" for n in sleeps if "  # " not in lines[n - 1]]
    assert [each for each in found if each.partition(":")[0] not in PATIENT] == []
