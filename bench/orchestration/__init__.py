"""What does orchestration cost? Turns over a model of fixed latency, against the critical path and against others."""
