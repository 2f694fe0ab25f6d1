"""Answers from the organisation's operational data."""

from agents.specialists.base import Profile

SPECIALIST = Profile(
    name="data",
    description=(
        "Answers from the operations database with figures: orders, stock, deliveries, incidents, people; counts, "
        "sums, averages, rankings, trends, comparisons, the state of a record. For what is measured or recorded."
    ),
    examples=(
        "How many orders were delivered late last month?",
        "What is the stock of part 4711 in each warehouse?",
        "Which suppliers had the most incidents this year?",
        "Show revenue by product for the last four quarters.",
        "What is the status of order 10023?",
    ),
    tools=("operations__*",),
)
