"""Answers from the organisation's documents."""

from agents.specialists.base import Profile

SPECIALIST = Profile(
    name="knowledge",
    description=(
        "Answers from the organisation's documents: policies, handbooks, procedures, manuals, contracts, minutes, "
        "mails, specifications. For what is written down: rules, reasons, instructions, decisions, definitions, "
        "contract terms, responsibilities, pay and benefits."
    ),
    examples=(
        "How many days of parental leave do we give?",
        "What does the maintenance manual say about brake pads?",
        "Who has to sign a purchase above 10,000 euros?",
        "Summarise the decisions of the last steering meeting.",
        "What is our policy on working from abroad?",
        "What penalty does the contract set when a supplier delivers late?",
        "Who is responsible for fire safety?",
        "What are the pay bands of mechanics?",
        "How much may a hotel cost on a business trip?",
        "How do I report a lost laptop?",
        "Is there a fee when a customer sends something back?",
        "What is the warranty on our products?",
        "Why was the product recalled?",
    ),
    tools=("knowledge__*",),
)
