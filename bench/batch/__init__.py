"""A batch beside people: what it costs them."""
