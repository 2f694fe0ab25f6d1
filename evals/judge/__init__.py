"""How the judge of passages is trained and measured (docs/decisions/0012)."""
