"""The desk as one object: its tables, its actions, its readers."""

from sqlalchemy.exc import DBAPIError

from mcp_servers.desk.access import Access
from mcp_servers.desk.messages import Messages
from mcp_servers.desk.people import load_directory
from mcp_servers.desk.reading import Reading
from mcp_servers.desk.settings import DeskSettings
from mcp_servers.desk.tables import metadata
from mcp_servers.desk.tickets import Tickets
from mcp_servers.desk.undo import Undo
from signalbox.database import open_engine
from signalbox.errors import UpstreamDown


class Desk:
    """Everything that the desk's tools call."""

    def __init__(self, settings: DeskSettings) -> None:
        self._settings = settings
        self.engine = open_engine(settings.url.get_secret_value())
        access = Access(settings.teams)
        self.tickets = Tickets(self.engine, access)
        self.messages = Messages(self.engine, settings)
        self.reading = Reading(self.engine, access, self.tickets)
        self.undo = Undo(self.engine, within_h=settings.undo_within_h)

    async def open(self) -> None:
        """Make the tables, read the directory, finish what was interrupted."""
        try:
            async with self.engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
        except (DBAPIError, OSError) as error:
            raise UpstreamDown(
                f"The desk's database cannot be opened: {type(error).__name__}.", hint="Check desk.url."
            ) from error
        if self._settings.people_file is not None:
            await load_directory(self.engine, self._settings.people_file)
        await self.messages.recover()

    async def close(self) -> None:
        """Let go of the database."""
        await self.engine.dispose()
