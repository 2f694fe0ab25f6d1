"""How often the check of claims against what they cite is right."""
