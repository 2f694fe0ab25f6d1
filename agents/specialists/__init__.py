"""Who can do a step? One file for each specialist, found by its entry in `AgentsSettings.specialists`.

Exports `agents.specialists.base` (what a specialist is) and `agents.specialists.roster` (those of this installation).
"""
