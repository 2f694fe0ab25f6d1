"""Identifiers: a prefix that says what it is, and 96 random bits."""

import secrets


def new_run_id() -> str:
    """`run_` and 24 hex characters."""
    return _new("run")


def new_conversation_id() -> str:
    """`conv_` and 24 hex characters."""
    return _new("conv")


def new_approval_id() -> str:
    """`appr_` and 24 hex characters."""
    return _new("appr")


def _new(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
