"""Works with the text at hand, without any tool."""

from agents.specialists.base import Profile

SPECIALIST = Profile(
    name="generalist",
    description=(
        "Works with text that is in the conversation or that other steps found: writes, rewrites, summarises, "
        "translates, explains, drafts, formats. Has no documents, no data and does nothing outside."
    ),
    examples=(
        "Translate this paragraph into French.",
        "Make your last answer shorter.",
        "Draft a friendly reply to this e-mail: …",
        "Turn these notes into bullet points.",
    ),
)
