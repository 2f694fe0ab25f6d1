"""Work at a database server that one thread does and another may stop."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

_log = structlog.get_logger(__name__)
_ASK_TIMEOUT_S = 1.0
_ASK_EVERY_S = 0.02
_ASK_FOR_S = 5.0


class ServerWork:
    """Statements on one connection of psycopg 3; those of other drivers are not stopped at the server.

    Whoever does the work sets `over` at its end, and looks at `stopped` once it is `on` a connection.
    """

    def __init__(self) -> None:
        self.over = threading.Event()
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._driver: Any = None

    @contextmanager
    def on(self, driver: Any) -> Iterator[None]:
        """While the work has the driver's connection."""
        with self._lock:
            self._driver = driver if hasattr(driver, "cancel_safe") else None
        try:
            yield
        finally:
            # The lock keeps the connection here while a cancel request for it is on its way.
            with self._lock:
                self._driver = None

    def stop(self) -> None:
        """Have the server end the work; blocks until it is over or cannot be reached, and raises nothing."""
        self.stopped.set()
        # A request that finds the server between two statements does nothing: it is made until the work is over.
        until = time.monotonic() + _ASK_FOR_S
        while not self.over.is_set() and self._ask():
            if time.monotonic() > until:
                _log.warning("database_work_not_stopped", error="StillRunning")
                return
            self.over.wait(_ASK_EVERY_S)

    def _ask(self) -> bool:
        """Whether the server was asked; where it could not be, the statement's timeout ends it."""
        with self._lock:
            if self._driver is None:
                return False
            import psycopg  # not installed where there is no PostgreSQL

            try:
                self._driver.cancel_safe(timeout=_ASK_TIMEOUT_S)
            except psycopg.Error as error:
                _log.warning("database_work_not_stopped", error=type(error).__name__)
                return False
            return True
