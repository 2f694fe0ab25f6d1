"""What does a file say? One module per format, run in a confined worker process; callers use `parse.pool.ParserPool`.

This module imports nothing: each worker process passes through it, and must start in milliseconds.
"""
