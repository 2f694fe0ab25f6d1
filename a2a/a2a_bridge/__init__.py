"""Signalbox among agents: its card, its server for other agents, and other agents as specialists (A2A 1.0)."""
