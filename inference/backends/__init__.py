"""How does one request reach a model server that is well, has room, and is the right one for its conversation?

Exports: `Fleet` (every backend and pool of the process), `ModelPool` (one model on its replicas), `Job`, `ReplyStream`.
"""

from inference.backends.fleet import Fleet
from inference.backends.job import Job
from inference.backends.pool import ModelPool
from inference.backends.stream import ReplyStream

__all__ = ["Fleet", "Job", "ModelPool", "ReplyStream"]
