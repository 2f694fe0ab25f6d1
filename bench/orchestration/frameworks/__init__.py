"""How does each framework run the same turn? One file for each: `open_turn(shape)` gives a function that runs one."""
