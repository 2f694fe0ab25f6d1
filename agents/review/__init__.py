"""What must not leave the system? One check per file, each a pure function of the text and what surrounds it.

Exports `agents.review.verdict` (what a check may say), `agents.review.sentences` (when text may be looked at) and
the checks that `agents.reviewer` composes.
"""
