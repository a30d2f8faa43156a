"""What `mlops doctor` says of a shell's and a home folder's settings."""

from __future__ import annotations

from mlops.project.machine_settings import check_ignored, check_locale, check_proxy


def test_a_proxy_is_named_without_its_address() -> None:
    found = check_proxy(
        {"HTTPS_PROXY": "http://ada:secret@proxy:3128", "http_proxy": "http://proxy", "A": "b"}
    )
    assert found.state == "ok"
    assert found.detail.startswith("HTTPS_PROXY, http_proxy: for other machines")
    assert "secret" not in found.detail
    assert check_proxy({"HTTP_PROXY": ""}).detail == "none"


def test_ignored_variables_are_a_warning_that_names_them() -> None:
    found = check_ignored(["MLFLOW_RUN_ID", "PREFECT_PROFILE"])
    assert found.state == "warn"
    assert "MLFLOW_RUN_ID, PREFECT_PROFILE" in found.detail
    assert check_ignored([]).state == "ok"


def test_a_terminal_that_is_not_utf8_is_told() -> None:
    assert check_locale("utf-8").detail == check_locale("UTF8").detail == "UTF-8"
    assert "iso8859-1" in check_locale("iso8859-1").detail
