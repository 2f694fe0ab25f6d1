"""Spans that nobody collects cost nothing, and take nothing away."""

import subprocess
import sys

CODE = """
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from signalbox.telemetry import leave_out_spans
from toolbus.trace import current_trace_id

leave_out_spans()
tracer = trace.get_tracer("test")
with tracer.start_as_current_span("alone") as span:
    print(span.is_recording(), repr(current_trace_id()))
sent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
context = TraceContextTextMapPropagator().extract(sent)
from opentelemetry import context as contexts
contexts.attach(context)
with tracer.start_as_current_span("inside"), trace.use_span(tracer.start_span("deeper")):
    print(current_trace_id())
    carrier = {}
    TraceContextTextMapPropagator().inject(carrier)
    print(carrier == sent)
"""
SET_UP = """
from opentelemetry import trace
class Own(trace.NoOpTracerProvider): ...
trace.set_tracer_provider(Own())
from signalbox.telemetry import leave_out_spans
leave_out_spans()
print(type(trace.get_tracer_provider()).__name__)
"""


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=9, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_trace_of_a_caller_stays_current_without_spans_of_our_own():
    assert run(CODE) == ["False", "''", "0af7651916cd43dd8448eb211c80319c", "True"]


def test_tracing_that_was_set_up_is_left_alone():
    assert run(SET_UP) == ["Own"]
