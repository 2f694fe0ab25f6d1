"""The governed tool bus: the only way from an agent to a tool.

Every call passes audit → authorise → budget and approval → redact, whatever its source (MCP, OpenAPI, A2A).
Exports its contracts in `toolbus.contracts`; `toolbus.bus` is the implementation that wiring chooses.
"""
