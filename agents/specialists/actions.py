"""Does things: tickets, messages, look-ups that lead to them."""

from agents.specialists.base import Profile

SPECIALIST = Profile(
    name="actions",
    description=(
        "Carries out what the user asks to be done: creates, comments, assigns, closes or finds tickets, sends "
        "messages. Only when the user asks for an action; consequential ones wait for a person's approval."
    ),
    examples=(
        "Open a ticket for the broken scanner in the warehouse.",
        "Send Bruno a message that the meeting moved to Friday.",
        "Assign ticket T-1001 to Clara.",
        "Close my ticket about the printer.",
        "Which tickets are open for the paint line?",
        "What is the state of my ticket?",
        "Has anybody picked up T-1002 yet?",
        "Tell a colleague that the delivery is late.",
        "Find the phone number or e-mail of a colleague.",
    ),
    tools=("desk__*",),
    streams=False,
)
