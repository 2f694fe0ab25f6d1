"""The only public door: the OpenAI-compatible API, conversations, approvals, documents, health."""
