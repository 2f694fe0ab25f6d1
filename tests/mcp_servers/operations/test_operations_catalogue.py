"""A catalogue of one's own: what it can say, and how a wrong one is refused."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from mcp_servers.operations import OperationsSettings
from mcp_servers.operations.catalogue import DEMO_CATALOGUE, Catalogue, load_catalogue
from mcp_servers.operations.opening import open_service
from signalbox.errors import UserFault
from signalbox.identity import Principal

CATALOGUE: dict[str, Any] = {
    "version": 1,
    "name": "Library",
    "description": "Loans of a library.",
    "groups": ["readers"],
    "tables": {
        "loans": {
            "description": "Who has what.",
            "columns": {"title": {}, "reader": {}, "due": {"type": "date"}},
            "rows": [{"where": "reader = :user", "unless": ["librarians"], "reason": "readers see their own loans"}],
        },
        "overdue": {"description": "Loans past their day.", "columns": {"title": {}}, "groups": ["librarians"]},
    },
    "metrics": {
        "my_loans": {
            "title": "Loans",
            "topic": "loans",
            "description": "Loans that are due by a day.",
            "examples": ["What have I borrowed?"],
            "parameters": {"by": {"type": "date", "description": "Last day.", "default": "today"}},
            "sql": "SELECT title, due FROM loans WHERE due <= :by ORDER BY due",
            "columns": {"title": {}, "due": {"type": "date"}},
            "summary": "{count|loan is|loans are} due by {by}, first {first:title}.",
            "summary_empty": "Nothing is due by {by}.",
        }
    },
}


@pytest.fixture
def settings(tmp_path: Path) -> OperationsSettings:
    with sqlite3.connect(tmp_path / "library.db") as connection:
        connection.execute("CREATE TABLE loans (title TEXT, reader TEXT, due TEXT, fine REAL)")
        rows = [("Emma", "ann", "2026-01-05"), ("Ulysses", "bob", "2026-01-09"), ("Persuasion", "ann", "2026-02-01")]
        connection.executemany("INSERT INTO loans VALUES (?, ?, ?, 1)", rows)
        connection.execute("CREATE VIEW overdue AS SELECT title, fine FROM loans WHERE due < '2026-01-31'")
    connection.close()
    (tmp_path / "metrics.yaml").write_text(yaml.safe_dump(CATALOGUE, sort_keys=False))
    url = SecretStr(f"sqlite:///{tmp_path}/library.db")
    return OperationsSettings.model_validate(
        {"url": url, "catalogue": tmp_path / "metrics.yaml", "today": "2026-01-31"}
    )


def person(name: str, *groups: str) -> Principal:
    return Principal(user=name, groups=frozenset(groups))


async def test_row_filters_hold_in_metrics_too(settings: OperationsSettings):
    service = await open_service(settings)
    ann = await service.query_metric(person("ann", "readers"), {"metric": "my_loans"}, None)
    assert ann.summary == "1 loan is due by 2026-01-31, first Emma."
    assert "reader = 'ann'" in ann.sql
    staff = await service.query_metric(person("lib", "readers", "librarians"), {"metric": "my_loans"}, None)
    assert staff.summary == "2 loans are due by 2026-01-31, first Emma."
    quoted = await service.query_metric(person("x' OR '1'='1", "readers"), {"metric": "my_loans"}, None)
    assert quoted.rows == []
    await service.close()


async def test_a_view_may_be_read_though_its_tables_may_not(settings: OperationsSettings):
    service = await open_service(settings)
    librarian = person("lib", "librarians")
    table = await service.run_select(librarian, "SELECT * FROM overdue ORDER BY title", None)
    assert table.rows == [{"title": "Emma"}, {"title": "Ulysses"}]
    with pytest.raises(UserFault, match="There is no table 'loans'"):
        await service.run_select(librarian, "SELECT * FROM loans", None)
    with pytest.raises(UserFault, match="no such column: fine"):
        await service.run_select(librarian, "SELECT fine FROM overdue", None)
    await service.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"version": 2}, "version: Input should be 1"),
        ({"metrics": {"m": {"title": "x"}}}, "metrics.m.topic: Field required"),
        ({"tables": {"Bad Name": {"description": "x", "columns": {}}}}, "'Bad Name' is not a plain lower-case name"),
        (
            {
                "metrics": {
                    "m": {**CATALOGUE["metrics"]["my_loans"], "sql": "SELECT title, due FROM loans WHERE due < :day"}
                }
            },
            "the SQL uses parameters that are not declared: ['day']",
        ),
    ],
)
def test_a_catalogue_that_does_not_fit_is_refused_with_the_place(tmp_path: Path, change: dict[str, Any], said: str):
    path = tmp_path / "metrics.yaml"
    path.write_text(yaml.safe_dump({**CATALOGUE, **change}))
    with pytest.raises(UserFault) as refused:
        load_catalogue(path)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"books": {"description": "x", "columns": {"a": {}}}}, "the table 'books', which the database does not have"),
        ({"loans": {"description": "x", "columns": {"isbn": {}}}}, "columns of 'loans' that do not exist: ['isbn']"),
    ],
)
async def test_a_catalogue_for_another_database_is_refused(settings: OperationsSettings, tables: Any, said: str):
    assert settings.catalogue is not None
    settings.catalogue.write_text(yaml.safe_dump({**CATALOGUE, "tables": tables}))
    with pytest.raises(UserFault) as refused:
        await open_service(settings)
    assert said in refused.value.message


def test_the_catalogue_in_the_documentation_loads(tmp_path: Path):
    page = (Path(__file__).parents[3] / "docs/operations-data.md").read_text(encoding="utf-8")
    (tmp_path / "metrics.yaml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert list(load_catalogue(tmp_path / "metrics.yaml").metrics) == ["overdue_loans"]


def test_the_demo_catalogue_is_yaml_for_readers_without_libyaml():
    raw = yaml.load(DEMO_CATALOGUE.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert Catalogue.model_validate(raw) == load_catalogue()
