"""The evaluation gate: cases, how an answer is judged, and the report on one release."""
