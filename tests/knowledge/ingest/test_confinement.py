"""What a parser process cannot do, tried from inside of one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def attempt(code: str) -> str:
    """Run code in a confined process; its output ends in `done` where nothing stopped it."""
    script = f"from knowledge.parse.confine import confine, allow_cpu\nconfine(400_000_000)\n{code}\nprint('done')"
    run = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=9, check=False
    )
    return run.stdout + run.stderr + f"exit {run.returncode}"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "has no network|may not use 'socket"),
        ("import socket; socket.getaddrinfo('example.org', 80)", "has no network|may not use 'socket"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "has no network|may not use 'socket"),
        ("open('/etc/passwd').read()", "may not read '/etc/passwd'"),
        ("open('pyproject.toml').read()", "may not read"),
        ("open('/tmp/x', 'w')", "may not write"),
        ("import os; os.remove('/tmp/x')", "may not use 'os.remove'"),
        ("import subprocess; subprocess.run(['/bin/true'])", "may not start programs"),
        ("import os; os.system('true')", "may not use 'os.system'"),
        ("import os; os.fork()", "may not use 'os.fork'"),
        ("bytearray(500_000_000)", "MemoryError"),
        ("allow_cpu(0)\nwhile True: pass", "exit -24"),
    ],
)
def test_a_parser_may_not(code, expected):
    output = attempt(code)
    assert any(part in output for part in expected.split("|")), output
    assert "done" not in output


def test_a_parser_may_import_what_it_needs():
    assert "done" in attempt(
        "import lxml.html, yaml, docx, pptx, openpyxl, pypdfium2, puremagic, csv, json, zipfile, email"
    )
