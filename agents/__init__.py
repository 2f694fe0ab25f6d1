"""The agents: planner, specialists, synthesiser, reviewer, and the orchestrator that runs a plan.

Exports: `agents.contracts` (plan, outcomes, the `TurnRunner` protocol), `agents.turns` (the one way a turn is run).
"""
