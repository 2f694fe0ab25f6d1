"""The desk's tools, described for the model that chooses them."""

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_servers.desk.desk import Desk
from mcp_servers.desk.effects import Asker
from mcp_servers.desk.models import Category, PersonList, Priority, Receipt, TicketDetails, TicketList
from mcp_servers.desk.reading import TicketQuery
from mcp_servers.faults import told
from mcp_servers.hosting import Caller

Ctx = Context[Any, Any]
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
SETS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
SENDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
REVERTS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

TicketId = Annotated[str, Field(description="Id of the ticket.", examples=["T-1001"], max_length=40)]
Site = Annotated[
    str | None, Field(description="Place that it concerns.", examples=["Ghent", "Porto", "Leeds"], max_length=80)
]
Kind = Annotated[
    Category,
    Field(
        description="it: computers, printers, scanners, accounts, passwords, VPN. facilities: buildings, rooms, "
        "doors, roofs, machines, heating. logistics: stock, deliveries, shipping. quality: defects, broken products, "
        "suppliers' faults. people: contracts, leave, pay. finance: invoices, expenses. safety: accidents, hazards. "
        "other: nothing of these."
    ),
]
Urgency = Annotated[
    Priority,
    Field(
        description="urgent: work stands still or people are in danger. high: today. normal: this week. low: some time."
    ),
]


def build_server(desk: Desk, caller: Caller) -> MCPServer[Any]:
    """The MCP server over an open desk."""
    server: MCPServer[Any] = MCPServer(
        "desk",
        version="0.1.0",
        log_level="WARNING",
        instructions="Tickets, the staff directory and messages. Read first; every action returns a receipt.",
    )
    _add_reading(server, desk, caller)
    _add_writing(server, desk, caller)
    _add_handling(server, desk, caller)
    _add_other_actions(server, desk, caller)
    return server


def _add_reading(server: MCPServer[Any], desk: Desk, caller: Caller) -> None:
    @server.tool(annotations=READS, title="Search tickets")
    @told
    async def search_tickets(
        context: Ctx,
        query: Annotated[
            str,
            Field(description="Words to look for; leave empty to list.", examples=["battery tester"], max_length=400),
        ] = "",
        status: Annotated[
            Literal["unsolved", "open", "in_progress", "waiting", "closed", "withdrawn"] | None,
            Field(description="unsolved: everything that is not closed. All when left out."),
        ] = None,
        category: Category | None = None,
        priority: Priority | None = None,
        person: Annotated[
            str | None,
            Field(description="Who asked for it or works on it: name, e-mail, or `me` for the asker.", max_length=200),
        ] = None,
        cursor: Annotated[str | None, Field(description="next_cursor of an earlier result of the same search.")] = None,
    ) -> TicketList:
        """Find or list tickets (requests, problems, cases) by words, state, category, person."""
        wanted = TicketQuery(query, status, category, priority, person, cursor)
        return await desk.reading.search(caller.chain(context).principal, wanted)

    @server.tool(annotations=READS, title="Read a ticket")
    @told
    async def get_ticket(context: Ctx, ticket_id: TicketId) -> TicketDetails:
        """Read one ticket by its id: state, who asked, who works on it, description and comments."""
        return await desk.reading.get(caller.chain(context).principal, ticket_id)

    @server.tool(annotations=READS, title="Find a person")
    @told
    async def find_person(
        context: Ctx,
        query: Annotated[
            str,
            Field(
                description="Part of a name, a role or a department.",
                examples=["Ada Verhulst", "plant manager Porto"],
                min_length=2,
                max_length=200,
            ),
        ],
        site: Site = None,
    ) -> PersonList:
        """Find a colleague in the staff directory: name, role, department, site, e-mail, extension."""
        return await desk.reading.find_person(caller.chain(context).principal, query, site)


def _add_writing(server: MCPServer[Any], desk: Desk, caller: Caller) -> None:
    @server.tool(annotations=ADDS, title="Create a ticket")
    @told
    async def create_ticket(
        context: Ctx,
        title: Annotated[
            str,
            Field(
                description="What it is about, in a few words.",
                examples=["Label printer in Leeds is stuck"],
                min_length=1,
                max_length=200,
            ),
        ],
        description: Annotated[
            str, Field(description="What happened or is wanted, with all details known.", min_length=1, max_length=8000)
        ],
        category: Kind = "other",
        priority: Urgency = "normal",
        site: Site = None,
    ) -> Receipt:
        """Open a new ticket: report a problem or a defect, or request something from IT, facilities, logistics,
        quality, People, finance or safety. The asker becomes its requester."""
        asker = _asker(caller, context)
        return await desk.tickets.create(
            asker, title=title, description=description, category=category, priority=priority, site=site
        )

    @server.tool(annotations=ADDS, title="Comment on a ticket")
    @told
    async def comment_ticket(
        context: Ctx,
        ticket_id: TicketId,
        comment: Annotated[str, Field(description="The text to add.", min_length=1, max_length=8000)],
        internal: Annotated[bool, Field(description="Only for those who work on the ticket.")] = False,
    ) -> Receipt:
        """Add a comment (note, remark, answer) to a ticket."""
        return await desk.tickets.comment(_asker(caller, context), ticket_id, comment, internal=internal)


def _add_handling(server: MCPServer[Any], desk: Desk, caller: Caller) -> None:
    @server.tool(annotations=SETS, title="Assign a ticket")
    @told
    async def assign_ticket(
        context: Ctx,
        ticket_id: TicketId,
        assignee: Annotated[
            str,
            Field(
                description="Who shall work on it: name, e-mail or user.",
                examples=["Priya Raman"],
                min_length=1,
                max_length=200,
            ),
        ],
    ) -> Receipt:
        """Give a ticket to somebody to work on (assign, hand over)."""
        return await desk.tickets.assign(_asker(caller, context), ticket_id, assignee)

    @server.tool(annotations=SETS, title="Close a ticket")
    @told
    async def close_ticket(
        context: Ctx,
        ticket_id: TicketId,
        resolution: Annotated[
            str,
            Field(
                description="How it was solved, or why it is closed.",
                examples=["Printer replaced."],
                min_length=1,
                max_length=2000,
            ),
        ],
    ) -> Receipt:
        """Close a ticket (solve, resolve, finish) and say how it was solved."""
        return await desk.tickets.close(_asker(caller, context), ticket_id, resolution)

    @server.tool(annotations=SETS, title="Reopen a ticket")
    @told
    async def reopen_ticket(
        context: Ctx,
        ticket_id: TicketId,
        reason: Annotated[str, Field(description="Why it is not solved.", min_length=1, max_length=2000)],
    ) -> Receipt:
        """Open a closed ticket again, because its problem is still there or came back."""
        return await desk.tickets.reopen(_asker(caller, context), ticket_id, reason)


def _add_other_actions(server: MCPServer[Any], desk: Desk, caller: Caller) -> None:
    @server.tool(annotations=SENDS, title="Send a message")
    @told
    async def send_message(
        context: Ctx,
        to: Annotated[
            str,
            Field(
                description="One recipient: name or e-mail address.",
                examples=["Elin Bergström"],
                min_length=1,
                max_length=250,
            ),
        ],
        subject: Annotated[str, Field(description="Subject line.", min_length=1, max_length=200)],
        body: Annotated[str, Field(description="The message as plain text.", min_length=1, max_length=20000)],
    ) -> Receipt:
        """Send an e-mail message to a colleague for the asker (write to, inform, notify, tell). Cannot be undone."""
        return await desk.messages.send(_asker(caller, context), to=to, subject=subject, body=body)

    @server.tool(annotations=REVERTS, title="Undo an action")
    @told
    async def undo(
        context: Ctx,
        receipt_id: Annotated[
            str, Field(description="receipt_id of the action's receipt.", pattern="^rcpt_[0-9a-f]{24}$")
        ],
    ) -> Receipt:
        """Undo a ticket action of the asker (create, comment, assign, close, reopen) if nothing changed since."""
        return await desk.undo.undo(_asker(caller, context), receipt_id)


def _asker(caller: Caller, context: Ctx) -> Asker:
    call = caller.call(context)
    return Asker(caller.chain(context).principal, idempotency_key=call.idempotency_key, dry_run=call.dry_run)
