"""The id of the trace that we are in, for records that must be found again from a trace."""

from opentelemetry import trace


def current_trace_id() -> str:
    """32 hex digits, or nothing outside a trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
