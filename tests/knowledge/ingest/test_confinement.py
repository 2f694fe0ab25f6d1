"""What a parser process cannot do, tried from inside of one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_NO_NAMESPACES = (
    'echo 0 > /proc/sys/user/max_user_namespaces && echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
)


def attempt(code: str, *before: str) -> str:
    """Run code in a confined process; its output ends in `done` where nothing stopped it."""
    script = f"from knowledge.parse.confine import confine, allow_cpu\nconfine(400_000_000)\n{code}\nprint('done')"
    return run(script, *before)


def run(script: str, *before: str) -> str:
    command = [*before, sys.executable, "-B", "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=9, check=False)
    return ran.stdout + ran.stderr + f"exit {ran.returncode}"


@pytest.fixture
def refusing() -> tuple[str, ...]:
    """What starts a program where the kernel makes no namespaces, as in many containers."""
    before = ("unshare", "--user", "--map-root-user", "sh", "-c", _NO_NAMESPACES, "sh")
    try:
        ran = subprocess.run([*before, "true"], capture_output=True, timeout=9, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare(1)")
    if ran.returncode:
        pytest.skip("no namespace can be made here in which to refuse more of them")
    return before


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


_NATIVE = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for call in (lambda: libc.socket(2, 1, 0), lambda: libc.syscall(425, 8, 0)):
    assert (call(), ctypes.get_errno()) == (-1, 1), "the kernel did not refuse it"
"""


def test_native_code_makes_no_socket_either():
    assert "done" in attempt(_NATIVE)


def test_native_code_makes_no_socket_where_no_namespace_can_be_had(refusing):
    assert "done" in attempt(_NATIVE, *refusing)


_POOL = """
import asyncio
from knowledge.parse.pool import ParserPool
from knowledge.settings import ParseSettings

async def main():
    async with ParserPool(ParseSettings(workers=2)) as parser:
        print("offline", await parser.offline())
        await asyncio.gather(*(parser.parse(f"{number}.md", b"# Leave") for number in range(4)))

asyncio.run(main())
"""


@pytest.mark.timeout(20)
def test_parsers_that_the_kernel_leaves_the_network_say_so_once(refusing):
    kept = run(_POOL, *refusing)
    assert "offline True" in kept
    assert "parsers_not_offline" not in kept
    # A processor whose calls we have no numbers of: nothing but the hook is left.
    left = run(_POOL, *refusing, "setarch", "i686")
    assert "offline False" in left
    assert left.count("parsers_not_offline") == 1
