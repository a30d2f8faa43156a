"""Take the pictures of docs/tour.md: the pages of a project that runs, in a real browser.

`make screenshots` runs it on the demo; ``python docs/screenshots.py --project FOLDER`` on any project
that is up, was retrained and has a judged window. Pages of other tools change with their versions: a
picture whose page never shows what it is taken for is an error that names the page.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Error, Page, Route, sync_playwright

from mlops.errors import MlopsError, UsageError
from mlops.ledger.records import DriftChecked, DriftReported, ModelPromoted
from mlops.project.context import Project

HERE = Path(__file__).parent
IMAGES = HERE / "images"
SIZE = {"width": 1600, "height": 1000}
SCALE = 0.8  # pictures of 1280 by 800, with room for every column
MOST_BYTES = 200_000
SETTLE = 2500  # ms, for what moves into its place after the page has its words


def _nothing(page: Page) -> None:
    del page


@dataclass(frozen=True)
class Shot:
    """A picture: where the page is, what it must show, and what is done before.

    Parameters
    ----------
    shows
        Words that are on the page once it is ready.
    act
        Clicks and scrolls, once the page is ready.
    """

    name: str
    address: str
    shows: str
    act: Callable[[Page], None] = _nothing


def main(arguments: list[str]) -> int:
    """Take the pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, default=HERE.parent / ".demo")
    parser.add_argument("--only", nargs="*", help="names of pictures, or how they begin")
    given = parser.parse_args(arguments)
    project = Project.at(given.project)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        for shot in [*prefect(project), *mlflow(project), *dvc(project, Path(folder))]:
            if given.only and not shot.name.startswith(tuple(given.only)):
                continue
            (IMAGES / f"{shot.name}.png").write_bytes(small(taken(page, shot)))
            sys.stdout.write(f"{shot.name}\n")
    return 0


def prefect(project: Project) -> Iterator[Shot]:
    """Yield the pictures of Prefect: runs, a form, a retraining and what it tells, the automation."""
    ui, name = project.folder.prefect_uri.removesuffix("/api"), project.params.data.name
    deployments = {
        found["entrypoint"].rpartition(":")[2]: found for found in _asked(project, "deployments", {})
    }
    retrain = deployments["retrain"]["id"]
    only = {
        "deployments": {"id": {"any_": [retrain]}},
        "flow_runs": {"state": {"name": {"any_": ["Completed"]}}},
    }
    run = _newest(_asked(project, "flow_runs", only), "a retraining that drift began")
    mine = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    yield Shot("prefect-runs", f"{ui}/runs", "Flow runs", lambda page: page.mouse.wheel(0, 560))
    yield Shot("prefect-deployments", f"{ui}/deployments", "retrain")
    yield Shot("prefect-form", f"{ui}/deployments/deployment/{retrain}/run", "as_of", _pick_a_time)
    yield Shot("prefect-retrain", f"{ui}/runs/flow-run/{run['id']}", "Artifacts")
    training = _newest(
        _asked(project, "artifacts", mine | _key(f"{name}-training")), "a training that was told"
    )
    yield Shot("prefect-training", f"{ui}/artifacts/artifact/{training['id']}", "on the held-out rows")
    drift = _newest(_asked(project, "artifacts", _key(f"{name}-drift")), "a window that was judged")
    yield Shot("prefect-drift", f"{ui}/artifacts/artifact/{drift['id']}", "threshold")
    yield Shot("prefect-automation", f"{ui}/automations", "retrain on confirmed drift")


def mlflow(project: Project) -> Iterator[Shot]:
    """Yield the pictures of MLflow: the runs, one of them, a version, a drift report."""
    from mlops.adapters.mlflow.links import version_page

    champion, reported = project.promotion, project.ledger.last(DriftReported)
    if champion is None or reported is None:
        raise UsageError("Nothing was judged yet.", remedy="Run `make demo` first.")
    judged = project.ledger.get(reported.cause, DriftChecked)
    subject = project.ledger.get(judged.cause, ModelPromoted) if judged else None
    assert subject is not None
    run = project.registry.run_url(champion.record.run_id)
    report = project.registry.run_url(subject.record.run_id, f"reports/{Path(reported.record.path).name}")
    version = version_page(project.folder.mlflow_uri, project.params.data.name, champion.record.version)
    columns = partial(_columns, loss=project.params.gate.metric)
    yield Shot("mlflow-runs", run.rpartition("/runs/")[0] + "/runs", "retrain", columns)
    yield Shot("mlflow-run", run, "Registered models", _calm)
    yield Shot("mlflow-version", version, "Description", _calm)
    yield Shot("mlflow-drift", report, "reports", _calm)


def dvc(project: Project, folder: Path) -> Iterator[Shot]:
    """Yield the picture of DVC's plots of the last training by hand."""
    command = [sys.executable, "-m", "dvc", "plots", "show", "--out", str(folder)]
    done = subprocess.run(command, cwd=project.folder.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MlopsError(f"dvc plots show failed: {done.stderr.strip()}.", remedy="Run `mlops train` first.")
    yield Shot("dvc-plots", (folder / "index.html").as_uri(), "ROC", _wait_for_charts)


@contextmanager
def browser() -> Iterator[Page]:
    """Open the Chromium on PATH."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise UsageError("There is no chromium on PATH.", remedy="Install your system's package of it.")
    # Chromium does not put root, as in a container, into its sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=options)
        page = opened.new_page(viewport=SIZE, device_scale_factor=SCALE)
        page.route("https://cdn.jsdelivr.net/**", _from_here)
        yield page
        opened.close()


def taken(page: Page, shot: Shot) -> bytes:
    """Return the picture.

    Raises
    ------
    MlopsError
        The page did not show what it is taken for.
    """
    try:
        page.goto("about:blank")  # else an address that differs after its # alone loads nothing
        page.goto(shot.address)
        page.get_by_text(shot.shows).first.wait_for(timeout=30_000)
        page.wait_for_timeout(SETTLE)
        page.mouse.move(SIZE["width"] * 0.6, SIZE["height"] * 0.8)
        shot.act(page)
        page.wait_for_timeout(SETTLE)
        return page.screenshot()
    except Error as exc:
        raise MlopsError(
            f"{shot.name}: {shot.address} does not show {shot.shows!r} ({exc.message.splitlines()[0]}).",
            remedy="Look at the page; it may have changed with the tool's version.",
        ) from exc


def small(png: bytes) -> bytes:
    """Return the picture with at most 256 colours where it is large."""
    if len(png) <= MOST_BYTES:
        return png
    packed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _pick_a_time(page: Page) -> None:
    page.get_by_text("date-time").first.click()


def _calm(page: Page) -> None:
    """Put MLflow's assistant away, which would fill a third of the page, and its pages of other work."""
    for button in (page.get_by_role("button", name="Close").first, page.get_by_text("Model training").first):
        if button.is_visible():
            button.click()


def _columns(page: Page, *, loss: str) -> None:
    """Show what trainings are compared by: MLflow keeps the columns of its table in the browser."""
    metrics = [f"metrics.`{of}/{loss}`" for of in ("holdout", "holdout_baseline")]
    columns = ["attributes.`Models`", *metrics, "tags.`mlops.gate`", "tags.`mlops.data`"]
    page.evaluate(
        """columns => Object.keys(localStorage).filter(key => key.includes("ExperimentPage")).forEach(key => {
            const state = {...JSON.parse(localStorage[key]), selectedColumns: columns};
            localStorage[key] = JSON.stringify(state);
        })""",
        columns,
    )
    page.reload()
    page.get_by_text("mlops.gate").first.wait_for(timeout=30_000)
    _calm(page)


def _wait_for_charts(page: Page) -> None:
    page.locator("canvas, svg.marks").first.wait_for(timeout=30_000)


def _from_here(route: Route) -> None:
    """Give DVC's page the library that draws its charts from vl-convert where that is installed."""
    try:
        import vl_convert
    except ImportError:
        route.continue_()
        return
    whole = vl_convert.javascript_bundle() if "vega-embed" in route.request.url else ""
    route.fulfill(body=whole, content_type="text/javascript")


def _asked(project: Project, what: str, filter: dict[str, Any]) -> list[dict[str, Any]]:
    address = f"{project.folder.prefect_uri}/{what}/filter"
    found = httpx.post(address, json=filter, timeout=10, trust_env=False).raise_for_status().json()
    return list(found)


def _key(key: str) -> dict[str, Any]:
    return {"artifacts": {"key": {"any_": [key]}}}


def _newest(found: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if not found:
        raise UsageError(f"Prefect has no {what}.", remedy="Run `make demo` first.")
    return max(found, key=lambda each: str(each["created"]))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (MlopsError, httpx.HTTPError) as exc:
        sys.stderr.write(f"error: {exc}\n")
        sys.exit(1)
