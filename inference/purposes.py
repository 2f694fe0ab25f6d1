"""What model calls are made for. A module of its own, so that settings can name purposes without AutoGen."""

from typing import Literal

Purpose = Literal["planner", "specialist", "synthesiser", "reviewer", "direct", "batch"]
