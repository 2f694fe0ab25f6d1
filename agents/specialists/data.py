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
        "How many open orders do we have at each site?",
        "How many incidents were there last week, and which are open now?",
        "What is running low or out of stock?",
        "When does the next delivery arrive?",
        "How reliable are our suppliers, and who was late?",
        "How many people work in each department?",
        "How much did we build, sell or scrap this quarter?",
        "Who is the head of a department?",
    ),
    tools=("operations__*",),
)
