"""Policies as data, and the small engine that loads and decides. Imports nothing of ours."""
