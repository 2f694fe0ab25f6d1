"""How well is the right passage found, and how honestly is its absence told?"""
