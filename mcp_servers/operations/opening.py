"""Opens the service: catalogue loaded, database reached, known values read, what does not fit said."""

import anyio

from mcp_servers.operations.catalogue import Catalogue, load_catalogue
from mcp_servers.operations.parameters import Choices
from mcp_servers.operations.reader import Limits, Reader, Statement, open_reader
from mcp_servers.operations.service import OperationsService
from mcp_servers.operations.settings import OperationsSettings
from signalbox.errors import UserFault

_AT_START = Limits(timeout_s=10, max_rows=1_000, max_bytes=200_000, max_cell_chars=200)


async def open_service(settings: OperationsSettings) -> OperationsService:
    """A service over the database of the settings; raises with the table or column that the catalogue has wrong."""
    catalogue = load_catalogue(settings.catalogue)
    reader = open_reader(settings.url.get_secret_value(), max_parallel=settings.max_parallel)
    await _check_tables(catalogue, reader)
    return OperationsService(catalogue, reader, settings, await _read_choices(catalogue, reader))


async def _check_tables(catalogue: Catalogue, reader: Reader) -> None:
    real = await reader.columns()
    for table, rule in catalogue.tables.items():
        if table not in real:
            raise UserFault(f"The catalogue names the table {table!r}, which the database does not have.")
        if missing := set(rule.columns) - real[table]:
            raise UserFault(f"The catalogue names columns of {table!r} that do not exist: {sorted(missing)}.")


async def _read_choices(catalogue: Catalogue, reader: Reader) -> dict[str, dict[str, Choices]]:
    queries = {p.values_sql for m in catalogue.metrics.values() for p in m.parameters.values() if p.values_sql}
    found: dict[str, Choices] = {}

    async def read(sql: str) -> None:
        page = await reader.fetch(Statement(sql=sql, binds={}, reads=None), _AT_START)
        spellings: dict[str, str] = {}
        for column in range(len(page.names)):
            for row in page.rows:
                if row[0] is not None and row[column] is not None:
                    spellings.setdefault(str(row[column]), str(row[0]))
        found[sql] = Choices(spellings=spellings, values=tuple(dict.fromkeys(spellings.values())))

    async with anyio.create_task_group() as group:
        for sql in sorted(queries):
            group.start_soon(read, sql)
    return {
        name: {
            key: found[p.values_sql] if p.values_sql else Choices({v: v for v in p.values}, p.values)
            for key, p in metric.parameters.items()
            if p.values_sql or p.values
        }
        for name, metric in catalogue.metrics.items()
    }
