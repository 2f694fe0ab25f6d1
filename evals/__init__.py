"""Quality, measured: each runner prints its figures, and evals/README.md keeps them with the command."""
