"""How a tool's arguments are filled from words: found in the message or left out, never invented."""
