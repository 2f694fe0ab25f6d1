"""What happens to one turn while it runs: its typed events, and the approvals that it waits for.

Exports: the event types and `RunResult` (`runs.events`), the event log (`runs.log`), approvals (`runs.approvals`).
"""
