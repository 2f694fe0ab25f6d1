"""The composition root: what depends on what, in one place. Nothing below imports this."""
