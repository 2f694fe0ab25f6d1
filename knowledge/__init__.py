"""From documents to cited, access-checked evidence: sources → clean → chunk → embed → index → retrieve."""
