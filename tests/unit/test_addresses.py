"""How an address is shown: without its password, wherever in a text it stands."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops.addresses import has_secret, mask_logs, masked, split_login
from mlops.config.settings import Settings
from mlops.errors import ConfigError, MlopsError, UnavailableError
from mlops.net.request import get

CANARY = "c4nary"
SIGNS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ada:{CANARY}@host:5432/db",
        f"postgresql://ada:{CANARY}@[::1]:5432/db",
        f"redis://:{CANARY}@host",
        f"https://{CANARY}@github.com/ada/plums.git",
        f"https://host/rows.csv?sv=1&sig={CANARY}",
        f"https://host/rows.csv?X-Amz-Signature={CANARY}&X-Amz-Credential={CANARY}&x=1",
        f"https://host/?token={CANARY}#access_token={CANARY}",
        f"postgresql://host/db?user=ada&password={CANARY}",
        f"mssql://host/db?odbc_connect=Driver%3Dx%3BPWD%3D{CANARY}",
        f"host=db.example user=ada password='{CANARY} 1'",
        f"DefaultEndpointsProtocol=https;AccountName=ada;AccountKey={CANARY}==;EndpointSuffix=x",
        f"Driver={{x}};Server=db;UID=ada;PWD={CANARY};",
        f"connect to ('http://ada:{CANARY}@host/x', 'http://other/') failed for https://h/?sig={CANARY}.",
    ],
)
def test_a_secret_of_an_address_is_masked(address: str) -> None:
    assert CANARY in address
    assert CANARY not in masked(address)
    assert has_secret(address)
    assert masked(masked(address)) == masked(address)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1?workflowType=machine_learning",
        "http://[::1]:5000/a@b",
        "s3://bucket/plums/a:b@c",
        "see https://host:8443/rows, or write to ada@example.org",
        "git@github.com:ada/plums.git",
        "sqlite:////home/ada/plums/.mlops/ledger.db",
        "postgresql://ada:${DB_PASSWORD}@host/db?sslpassword=${KEY}",
        "https://host/rows.csv?sig=${SIG}&part=2",
        "12:30 at the gate; the key is plum",
    ],
)
def test_what_has_no_secret_is_shown_as_it_is(text: str) -> None:
    assert masked(text) == text
    assert not has_secret(text)


@given(user=st.text("abc.-_", max_size=5), before=SIGNS, after=SIGNS)
def test_a_password_of_whatever_signs_is_masked(user: str, before: str, after: str) -> None:
    assume(not re.match(r"\d{1,5}/", before))  # which looks like a port
    address = f"db://{user}:{before}{CANARY}{after}@host.example/rows"
    assert CANARY not in masked(address)
    assert masked(address).endswith("@host.example/rows")


def test_an_error_shows_no_password_whatever_a_driver_wrote_into_it() -> None:
    address = f"http://ada:{CANARY}@127.0.0.1:9/api"
    errors = (
        MlopsError(f"connection to {address} failed", remedy=f"Check {address}."),
        ConfigError("MLFLOW_TRACKING_URI", value=address, allowed="another", file="environment"),
        UnavailableError("Prefect", address, remedy="Start it.", cause=OSError(f"no route to {address}")),
    )
    for error in errors:
        shown = f"{error} {error!r} {error.args} {vars(error)}"
        assert CANARY not in shown
        assert "***" in shown


def test_settings_show_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_LEDGER_URI", f"postgresql://ada:{CANARY}@host/db")
    monkeypatch.setenv("PREFECT_API_URL", f"https://ada:{CANARY}@host/api")
    assert CANARY not in f"{Settings()!r} {Settings()}"
    assert Settings().ledger_uri == f"postgresql://ada:{CANARY}@host/db"


@pytest.fixture
def records() -> Iterator[None]:
    make = logging.getLogRecordFactory()
    mask_logs()
    yield
    logging.setLogRecordFactory(make)


@pytest.mark.usefixtures("records")
def test_a_log_line_and_its_traceback_show_no_password(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("some.library")
    try:
        raise ValueError(f"cannot reach db://ada:{CANARY}@host")
    except ValueError:
        logger.exception("failed at %s, part %d", f"https://h/?sig={CANARY}", 3)
    assert CANARY not in caplog.text
    assert "failed at https://h/?sig=*** part 3" in caplog.text
    assert "ValueError: cannot reach db://ada:***@host" in caplog.text


def test_a_login_is_no_part_of_the_host_s_name() -> None:
    assert split_login("https://ada:p%40ss@host:8443/api") == ("https://host:8443/api", "ada:p@ss")
    assert split_login("https://host/api") == ("https://host/api", "")
    # Port 9 refuses: with the login in it, the name of the host would not be found.
    assert get("http://ada:pa@ss@127.0.0.1:9/health").problem == "connection refused"
