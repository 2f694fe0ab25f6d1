"""Answers from the organisation's documents."""

from agents.specialists.base import Profile

SPECIALIST = Profile(
    name="knowledge",
    description=(
        "Answers from the organisation's documents: policies, handbooks, procedures, manuals, contracts, minutes, "
        "mails, specifications. For what is written down: rules, reasons, instructions, decisions, definitions."
    ),
    examples=(
        "How many days of parental leave do we give?",
        "What does the maintenance manual say about brake pads?",
        "Who has to sign a purchase above 10,000 euros?",
        "Summarise the decisions of the last steering meeting.",
        "What is our policy on working from abroad?",
    ),
    tools=("knowledge__*",),
)
