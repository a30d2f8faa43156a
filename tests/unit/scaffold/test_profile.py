from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.column_formats import NumberFormat
from mlops.errors import DataError, UsageError
from mlops.scaffold.profile import Profile, as_ingested, profile_table
from mlops.scaffold.profile_options import ProfileOptions

N = 400


@pytest.fixture
def table() -> pd.DataFrame:
    """Customers of whom some left, with a column of every sort; typed as Parquet has it."""
    rng = np.random.default_rng(0)
    words = np.array(["the", "invoice", "came", "late", "and", "support", "was", "kind", "to", "me"])
    age, plan = rng.integers(18, 90, N), rng.choice(["basic", "pro", "team"], N)
    churned = rng.random(N) < 0.2 + 0.5 * (plan == "basic")
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:05d}" for i in range(N)],
            "signed_up_at": pd.Timestamp("2024-01-01", tz="UTC")
            + pd.to_timedelta(rng.integers(0, 300, N), "D"),
            "age": np.where(rng.random(N) < 0.1, np.nan, age),
            "plan": plan,
            "newsletter": rng.choice([True, False], N),
            "last visit.on": pd.to_datetime("2024-11-01") - pd.to_timedelta(rng.integers(0, 60, N), "D"),
            "remark": [" ".join(rng.choice(words, 7)) for _ in range(N)],
            "ticket": [f"T-{i * 7}" for i in range(N)],
            "row": range(N),
            "country": "NZ",
            "fax": None,
            "score": rng.random(N),
            "churned": churned,
        }
    )


def written(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a CSV has it: all text."""
    times = table.select_dtypes(["datetime", "datetimetz"]).columns
    iso = table.assign(**{name: table[name].dt.strftime("%Y-%m-%d") for name in times})
    return iso.astype(object).map(lambda value: None if value is None or value != value else str(value))


def kinds(profile: Profile) -> dict[str, str]:
    return {feature.name: feature.type for feature in profile.features}


@pytest.mark.parametrize("as_text", [False, True])
def test_each_column_is_taken_for_what_it_is(table: pd.DataFrame, as_text: bool) -> None:
    profile = profile_table(written(table) if as_text else table, ProfileOptions("churned"))
    assert profile.task == "binary"
    assert kinds(profile) == {
        "signed_up_at": "date",
        "age": "number",
        "plan": "category",
        "newsletter": "boolean",
        "last visit.on": "date",
        "remark": "text",
    }
    assert {name: reason.partition(":")[0] for name, reason in profile.left_out.items()} == {
        "ticket": "an id",
        "row": "an id",
        "country": "it is NZ in every row",
        "fax": "it holds no value",
        "score": "the prediction log has a column of that name",
    }
    assert profile.key == "customer_id"
    # Two could be the event time: a person must say.
    assert profile.time is None
    assert profile.suspects == []
    assert any("signed_up_at, last visit.on hold dates" in sentence for sentence in profile.decided)
    assert len(profile.decided) == 3


def test_what_is_asked_for_is_done(table: pd.DataFrame) -> None:
    options = ProfileOptions("churned", "signed_up_at", "ticket", features=["age", "row", "plan"])
    profile = profile_table(table, options)
    assert kinds(profile) == {"age": "number", "row": "number", "plan": "category"}
    assert (profile.time, profile.key) == ("signed_up_at", "ticket")
    without = profile_table(table, ProfileOptions("churned", exclude=["age", "signed_up_at"]))
    assert "age" not in kinds(without)
    assert without.left_out["age"] == "you excluded it"
    # Of two that could be, one is left.
    assert without.time == "last visit.on"


def test_the_event_time_reaches_the_model_by_its_calendar(table: pd.DataFrame) -> None:
    schema = profile_table(table, ProfileOptions("churned", "signed_up_at")).schema()
    assert [name for name in schema.inputs if name.startswith("signed_up_at")] == [
        "signed_up_at.month",
        "signed_up_at.day",
        "signed_up_at.day_of_year",
        "signed_up_at.weekday",
        "signed_up_at.hour",
    ]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([True, False], "binary", 2),
        ([0, 1], "binary", 2),
        ([0.0, 1.0], "binary", 2),
        (["yes", "no"], "binary", 2),
        (["True", "False"], "binary", 2),
        (["a", "b", "c"], "multiclass", 3),
        ([1, 2, 3, 4, 5], "multiclass", 5),
        (["1", "2", "3"], "multiclass", 3),
        ([0.5, 1.5], "regression", 0),
        (list(range(50)), "regression", 0),
        ([f"{n / 7:.3f}" for n in range(50)], "regression", 0),
    ],
)
def test_the_target_tells_the_task(table: pd.DataFrame, values: list[Any], task: str, classes: int) -> None:
    target = [None if i == 3 else values[i * 7 % len(values)] for i in range(N)]  # one waits for its label
    profile = profile_table(table.assign(churned=target), ProfileOptions("churned"))
    assert (profile.task, len(profile.classes)) == (task, classes)
    assert profile.unlabelled == 1 / N
    assert any(f"the task is {task}" in sentence for sentence in profile.decided)


def test_a_label_that_few_rows_have_is_told_of(table: pd.DataFrame) -> None:
    kind = np.resize(["a", "b"], N).astype(object)
    kind[[3, 50]] = "odd"
    profile = profile_table(table.assign(kind=kind), ProfileOptions("kind"))
    assert "kind has few rows of odd (2): a model can hardly be trained on them." in profile.decided
    for target in ("churned", "age"):
        decided = profile_table(table, ProfileOptions(target)).decided
        assert not any("few rows" in sentence for sentence in decided)


def test_columns_that_give_the_target_away_are_named_and_stay(table: pd.DataFrame) -> None:
    flip = np.where(table["churned"], "left the service", "stays")
    told = table.assign(reason=flip, refund=table["churned"] * 10.0 + table["age"].fillna(0) / 100)
    profile = profile_table(told, ProfileOptions("churned"))
    assert profile.suspects == ["reason", "refund"]
    assert {"reason", "refund"} <= set(kinds(profile))
    price = table.assign(churned=table["age"].fillna(30) * 1.5, cents=table["age"].fillna(30) * 150)
    assert profile_table(price, ProfileOptions("churned")).suspects == ["age", "cents"]


def test_values_that_are_none_of_their_kind_are_told_of(table: pd.DataFrame) -> None:
    odd = written(table)
    odd.loc[3, "age"] = "old"
    odd.loc[4, "age"] = "inf"
    [age] = [
        feature for feature in profile_table(odd, ProfileOptions("churned")).features if feature.name == "age"
    ]
    assert age.type == "number"
    assert "0.6% are none" in age.note


def test_a_sentinel_is_named_beside_the_range_of_the_others(table: pd.DataFrame) -> None:
    rooms = np.random.default_rng(0).integers(1, 7, len(table)).astype(float)
    rooms[[4, 9]] = 999
    profile = profile_table(table.assign(rooms=rooms), ProfileOptions("churned"))
    note = next(feature.note for feature in profile.features if feature.name == "rooms")
    named = "{rooms: [999]}"
    assert (
        note == f"1 to 6, and 999, far away: as if missing when monitored; if missing, write missing: {named}"
    )
    [asked] = [sentence for sentence in profile.decided if "rooms" in sentence]
    assert asked.startswith("rooms is a number: it holds 999 in ")
    assert asked.endswith(f"if that stands for a missing value, write data.missing: {named}.")


def test_words_for_a_missing_value_are_found_among_numbers_and_named_by_a_person(table: pd.DataFrame) -> None:
    odd = written(table).assign(
        hp=[("?", "nil", str(n % 90))[0 if n % 40 == 0 else 1 if n % 40 == 1 else 2] for n in range(N)],
        work=[("Private", "?", "State")[n % 3] for n in range(N)],
        rain=["T" if n % 50 == 0 else str(n / 7) for n in range(N)],
    )
    options = ProfileOptions("churned", exclude=["rain"])
    profile = profile_table(odd, options)
    assert profile.schema().missing == {"hp": ("?", "nil")}
    assert "hp has '?' in 10 rows, 'nil' in 10 rows, taken for missing" in " ".join(profile.decided)
    assert (kinds(profile)["hp"], kinds(profile)["work"]) == ("number", "category")
    assert as_ingested(odd, profile.schema(), untyped=True)["hp"].isna().sum() == 20
    with pytest.raises(DataError, match=r"rain: 8 of 400 values, as 'T', .* --missing .* 'rain=T'"):
        profile_table(odd, ProfileOptions("churned"))
    named = profile_table(odd, ProfileOptions("churned", missing={"rain": ["T"]}))
    assert named.schema().missing["rain"] == ("T",)
    assert kinds(named)["rain"] == "number"


def test_words_among_a_typed_files_numbers_are_found_too(table: pd.DataFrame) -> None:
    hp = pd.Series(["?" if n % 40 == 0 else n % 90 for n in range(N)], dtype=object)
    profile = profile_table(table.assign(hp=hp), ProfileOptions("churned"), untyped=False)
    assert profile.schema().missing == {"hp": ("?",)}
    assert kinds(profile)["hp"] == "number"


def test_a_far_number_that_a_person_names_is_missing(table: pd.DataFrame) -> None:
    sensor = np.where(np.arange(N) % 20 == 0, -999, np.arange(N) % 40).astype(float)
    for untyped in (True, False):
        odd = table.assign(sensor=sensor.astype(str) if untyped else sensor)
        profile = profile_table(odd, ProfileOptions("churned", missing={"sensor": [-999]}), untyped=untyped)
        note = next(feature.note for feature in profile.features if feature.name == "sensor")
        assert note == "1 to 39, 5.0% missing"
        assert as_ingested(odd, profile.schema(), untyped=untyped)["sensor"].min() == 1


@pytest.mark.parametrize("tick", ["X", "1", "yes", 1.0, "true"])
def test_a_box_that_is_ticked_or_empty_is_a_feature(table: pd.DataFrame, tick: object) -> None:
    promo = pd.Series([tick if row % 3 else None for row in range(len(table))], dtype=object)
    profile = profile_table(table.assign(promo=promo), ProfileOptions("churned"))
    [feature] = [feature for feature in profile.features if feature.name == "promo"]
    assert feature.type == ("boolean" if tick == "true" else "category")
    assert re.match(r"\S+ in 66\.\d% of the rows, missing in the others", feature.note)
    ticked = profile_table(table.assign(promo=tick), ProfileOptions("churned"))
    assert "in every row" in ticked.left_out["promo"]


@pytest.mark.parametrize(
    ("spelled", "doubt"),
    [
        (lambda i: f"{i % 90},5", "numbers with decimal commas: 0,5 is read as 0.5"),
        (lambda i: f"1.{i:03d},25", "numbers with points between thousands, decimal commas: 1.000,25"),
        (lambda i: f"{i % 12 + 1:02d}/03/2024", "day, month and year nothing tells apart, as '01/03/2024'"),
        (lambda i: f"{i % 12 + 1}.3.24 10:00", "day, month and year nothing tells apart, as '1.3.24 10:00'"),
        (lambda i: f"{i % 12 + 1}:{i % 60:02d} PM", "times of day without a date, as '1:00 PM'"),
        (lambda i: "n/a" if i % 10 == 0 else str(i % 50), "odd has 'n/a' in 40 rows, taken for missing"),
        (
            lambda i: "n/a" if i % 5 == 0 else f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}",
            "odd has 'n/a' in 80 rows, taken for missing",
        ),
        (lambda i: f"a{i % 50}", ""),
        (lambda i: "basic" if i % 2 else "pro", ""),
        (lambda i: str(i % 3) if i % 3 == 0 else "many", ""),
    ],
)
def test_what_was_meant_to_be_numbers_or_days_is_told_of(
    table: pd.DataFrame, spelled: Callable[[int], str], doubt: str
) -> None:
    profile = profile_table(table.assign(odd=[spelled(i) for i in range(N)]), ProfileOptions("churned"))
    told = [*profile.decided, *profile.left_out.values()]
    assert [doubt in sentence for sentence in told].count(True) == (1 if doubt else len(told))
    assert ("odd" in kinds(profile)) == ("odd" not in profile.left_out)


@pytest.mark.parametrize(
    "name", ["EmployeeNumber", "customerid", "order_no", "Account Nr", "code", "ticketNum", "user_id"]
)
def test_whole_numbers_that_number_the_rows_are_left_out(table: pd.DataFrame, name: str) -> None:
    gaps = np.cumsum(np.random.default_rng(1).integers(1, 9, N))
    profile = profile_table(
        table.assign(**{name: np.random.default_rng(2).permutation(gaps)}), ProfileOptions("churned")
    )
    assert "an id" in profile.left_out[name]
    few = profile_table(
        table.assign(**{name: gaps % 7}), ProfileOptions("churned")
    )  # of which many are the same
    assert kinds(few)[name] == "number"


def test_a_key_that_comes_again_anywhere_in_the_table_is_none_unless_a_person_says_so(
    table: pd.DataFrame,
) -> None:
    profile = profile_table(table, ProfileOptions("churned"), repeated={"customer_id"})
    assert (profile.key, "customer_id" in profile.left_out) == (None, True)
    asked = profile_table(table, ProfileOptions("churned", key="customer_id"), repeated={"customer_id"})
    assert "customer_id has duplicates: of rows with the same key, the later is trained on." in asked.decided
    assert not any(
        "has duplicates" in said
        for said in profile_table(table, ProfileOptions("churned", key="customer_id")).decided
    )


def test_a_number_that_rises_from_row_to_row_stays_and_is_told_of(table: pd.DataFrame) -> None:
    rising = np.cumsum(np.random.default_rng(1).integers(1, 9, N))
    profile = profile_table(
        table.assign(paid=rising, income=rising[::-1], ratio=rising / 7), ProfileOptions("churned")
    )
    told = [sentence for sentence in profile.decided if "exclude it if it is an id" in sentence]
    assert {"paid", "income", "ratio"} <= set(kinds(profile))
    assert [sentence.partition(" ")[0] for sentence in told] == ["paid"]


def test_a_target_with_decimal_commas_is_a_number(table: pd.DataFrame) -> None:
    profile = profile_table(table.assign(price=[f"{i},5" for i in range(N)]), ProfileOptions("price"))
    assert profile.task == "regression"
    assert profile.schema().formats == {"price": NumberFormat("", ",")}


def test_a_target_that_is_written_as_money_is_no_label_however_few_prices_there_are(
    table: pd.DataFrame,
) -> None:
    priced = table.assign(price=[("$1,200", "$900", "$2,400")[i % 3] for i in range(N)])
    profile = profile_table(priced, ProfileOptions("price"))
    assert profile.task == "regression"
    assert any("$1,200 is read as 1200" in sentence for sentence in profile.decided)


def test_a_target_that_looks_like_numbers_and_may_be_none_says_so(table: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"400 labels.*looks like numbers, as 0 things"):
        profile_table(table.assign(price=[f"{i} things" for i in range(N)]), ProfileOptions("price"))


OPEN = {"paid": ["1,706", "2706", "3,200", "4"] * 100}
"""Values that may be one number or another."""


def test_a_column_that_may_be_one_number_or_another_is_refused_with_the_ways_out(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"paid looks like numbers, as 1,706, but.* 1\.706 or 1706") as caught:
        profile_table(table.assign(**OPEN), ProfileOptions("churned"))
    assert "--format 'paid=" in str(caught.value.remedy)
    assert "--exclude paid" in str(caught.value.remedy)
    named = profile_table(
        table.assign(**OPEN), ProfileOptions("churned", formats={"paid": NumberFormat(",")})
    )
    assert kinds(named)["paid"] == "number"
    without = profile_table(table.assign(**OPEN), ProfileOptions("churned", exclude=["paid"]))
    assert "paid" not in kinds(without)


@pytest.mark.parametrize("odd", ["12O.5", "1.2.3", "0x1F", "1_000"])
def test_a_value_that_cannot_be_read_among_numbers_is_refused_and_its_row_not_lost(
    table: pd.DataFrame, odd: str
) -> None:
    paid = [odd if i == 7 else f"{i}.25" for i in range(N)]
    with pytest.raises(DataError, match=rf"paid: 1 of 400 values, as '{odd}', is not a number"):
        profile_table(table.assign(paid=paid), ProfileOptions("churned"))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (ProfileOptions("churn"), UsageError, "Did you mean 'churned'"),
        (ProfileOptions("churned", time="plan"), UsageError, "plan holds"),
        (ProfileOptions("churned", time="fax"), UsageError, "nothing"),
        (ProfileOptions("churned", key="nr"), UsageError, "--key"),
        (ProfileOptions("churned", key="churned"), UsageError, "two roles"),
        (ProfileOptions("churned", features=["churned"]), UsageError, "names the target"),
        (ProfileOptions("churned", exclude=["agee"]), UsageError, "Did you mean 'age'"),
        (ProfileOptions("score"), UsageError, "Rename the column"),
        (ProfileOptions("fax"), DataError, "no value in any row"),
        (ProfileOptions("country"), DataError, "NZ in every row"),
        (ProfileOptions("remark"), UsageError, "400 labels"),
        (ProfileOptions("plan", task="regression"), UsageError, "no number"),
        (ProfileOptions("plan", task="binary"), UsageError, "3 labels"),
        (ProfileOptions("churned", features=["fax"]), DataError, "fax (it holds no value)"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    table: pd.DataFrame, options: ProfileOptions, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as told:
        profile_table(table, options)
    assert says in str(told.value)


def test_a_time_that_is_missing_somewhere_is_refused(table: pd.DataFrame) -> None:
    table.loc[7, "signed_up_at"] = pd.NaT
    with pytest.raises(UsageError, match="missing in 1 rows"):
        profile_table(table, ProfileOptions("churned", time="signed_up_at"))


def test_text_of_a_typed_file_stays_text_as_it_will_when_it_is_ingested(table: pd.DataFrame) -> None:
    zips = [f"{n % 90:05d}" for n in range(N)]
    told = table.assign(
        zip=zips, wet=np.where(table["churned"], "true", "false"), grade=["1", "2"] * (N // 2)
    )
    typed = profile_table(told, ProfileOptions("grade"), untyped=False)
    assert (kinds(typed)["zip"], kinds(typed)["wet"]) == ("category", "category")
    assert sorted(typed.classes) == ["1", "2"]
    untyped = profile_table(told, ProfileOptions("grade"))
    assert (kinds(untyped)["zip"], kinds(untyped)["wet"]) == ("category", "boolean")
    zip = next(each for each in untyped.features if each.name == "zip")
    assert zip.note.startswith("90 codes, some with zeros before them: 000")
    digits = profile_table(
        told.assign(zip=[f"{n % 90}" for n in range(N)], hour=[f"{n % 7}.5" for n in range(N)]),
        ProfileOptions("grade"),
    )
    assert (kinds(digits)["zip"], kinds(digits)["hour"]) == ("number", "number")
    assert sorted(untyped.classes) == [1, 2]
    with pytest.raises(UsageError, match="is no number"):
        profile_table(told, ProfileOptions("grade", task="regression"), untyped=False)


def test_a_column_called_as_a_part_of_a_date_is_left_out(table: pd.DataFrame) -> None:
    profile = profile_table(table.assign(**{"signed_up_at.month": table["age"]}), ProfileOptions("churned"))
    assert "a part of signed_up_at" in profile.left_out["signed_up_at.month"]
    assert "signed_up_at" in kinds(profile)


def test_what_the_contract_will_keep_apart_stops_nothing(table: pd.DataFrame) -> None:
    odd = written(table).assign(age=[str(n * 1e300) for n in range(N)])
    odd.loc[5, "signed_up_at"] = "unknown"
    odd.loc[7, "customer_id"] = None
    profile = profile_table(odd, ProfileOptions("churned", "signed_up_at", "customer_id"))
    assert (profile.time, profile.key) == ("signed_up_at", "customer_id")
    rows = as_ingested(odd, profile.schema(), untyped=True)
    assert rows["signed_up_at"].isna().sum() == 1
    infinite = table.assign(churned=np.where(np.arange(N) == 3, np.inf, np.arange(N) / 7))
    assert profile_table(infinite, ProfileOptions("churned")).task == "regression"


def test_none_is_a_label_among_words_and_no_number(table: pd.DataFrame) -> None:
    odd = written(table).assign(
        sleep=[("None", "Insomnia", "Apnea")[n % 3] for n in range(N)],
        garage=[("None", "built in")[n % 2] for n in range(N)],
        rooms=["None" if n % 4 == 0 else str(n % 7) for n in range(N)],
        paid=[("None", " ", "true", "false")[n % 4] for n in range(N)],
    )
    profile = profile_table(odd, ProfileOptions("sleep"))
    assert (profile.task, sorted(profile.classes), profile.unlabelled) == (
        "multiclass", ["Apnea", "Insomnia", "None"], 0.0,
    )  # fmt: skip
    assert {name: kinds(profile)[name] for name in ("garage", "rooms", "paid")} == {
        "garage": "category", "rooms": "number", "paid": "boolean",
    }  # fmt: skip
    assert "25.0% missing" in next(each.note for each in profile.features if each.name == "rooms")
    paid = profile_table(odd, ProfileOptions("paid"))
    assert (paid.classes, paid.unlabelled) == ([True, False], 0.5)
    rows = as_ingested(odd, profile.schema(), untyped=True)
    assert (set(rows["garage"]), rows["rooms"].isna().mean()) == ({"None", "built in"}, 0.25)


@pytest.mark.parametrize("untyped", [False, True])
def test_a_span_of_time_is_left_out_and_said(table: pd.DataFrame, untyped: bool) -> None:
    spans = table.assign(took=pd.to_timedelta(np.arange(N) % 60, "s"))
    profile = profile_table(spans, ProfileOptions("churned"), untyped=untyped)
    assert profile.left_out["took"] == "its values are of type Timedelta"


def test_decimals_of_a_database_are_numbers(table: pd.DataFrame) -> None:
    told = table.assign(
        left=[Decimal(n % 2) for n in range(N)], price=[Decimal(n % 37) / 4 for n in range(N)]
    )
    profile = profile_table(told, ProfileOptions("left"), untyped=False)
    assert (profile.task, sorted(profile.classes)) == ("binary", [0, 1])
    assert kinds(profile)["price"] == "number"
    rows = as_ingested(told, profile.schema(), untyped=False)
    assert set(rows["left"]) == {0, 1}
    assert rows["price"].tolist() == [n % 37 / 4 for n in range(N)]
    assert profile_table(told, ProfileOptions("price"), untyped=False).task == "regression"


def test_what_is_excluded_is_no_feature_though_it_be_named(table: pd.DataFrame) -> None:
    profile = profile_table(table, ProfileOptions("churned", features=["age", "plan"], exclude=["age"]))
    assert (kinds(profile), profile.left_out) == ({"plan": "category"}, {"age": "you excluded it"})


def test_a_nested_target_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="nested"):
        profile_table(table.assign(churned=[[1]] * N), ProfileOptions("churned"))


def test_hundreds_of_columns_and_many_categories_are_looked_at_in_bounded_time() -> None:
    rng = np.random.default_rng(1)
    wide = {f"x{i}": rng.normal(size=500) for i in range(300)}
    many = rng.integers(0, 100_000, 500).astype(str)
    profile = profile_table(
        pd.DataFrame(
            {**wide, "shop": np.char.add("s", np.sort(many)[::2].repeat(2)), "y": rng.normal(size=500)}
        ),
        ProfileOptions("y"),
    )
    assert len(profile.features) == 301
    assert kinds(profile)["shop"] == "category"
