"""What only a GPU can show: tokens a second, first tokens, cache hits, and the system against raw vLLM."""
