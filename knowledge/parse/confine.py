"""What a worker may not do, enforced in the worker itself: limits of the kernel and an audit hook.

The hook cannot be removed once it is set. It refuses sockets, other programs, writing, and reading outside of the
interpreter's own libraries. Native code does not pass the hook, so the kernel takes the network away as well: by a
namespace without one, and by refusing to make sockets; containers often forbid the first and allow the second.
"""

import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit architecture, number of socket(2)
_IO_URING_SETUP = 425  # a ring makes sockets too
_X32 = 0x40000000  # other numbers of the same calls
_REFUSED = (
    "socket.",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.fork",
    "os.kill",
    "ftplib.",
    "smtplib.",
)
_CHANGES = frozenset(
    {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(memory_bytes: int, *, programs: tuple[str, ...] = ()) -> bool:
    """Give up, for the rest of this process, what parsing does not need; `programs` may still be started.

    Whether the kernel has taken the network away; where it has not, only the hook stands before it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_NOFILE, 64)
    offline = sys.platform == "linux" and _leave_the_network()
    _refuse(programs)
    return offline


def allow_cpu(seconds: int) -> None:
    """Let this process use so many more seconds of CPU; beyond them the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _lower(what: int, to: int) -> None:
    _, hard = resource.getrlimit(what)
    limit = to if hard == resource.RLIM_INFINITY else min(to, hard)
    resource.setrlimit(what, (limit, limit))


def _leave_the_network() -> bool:
    """An empty network of its own, no sockets, no new privileges, death with the parent; each as far as allowed."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    apart = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    return _refuse_sockets(libc) or apart


def _refuse_sockets(libc: Any) -> bool:
    """Have the kernel answer `EPERM` where a socket is to be made, for this process and all that it starts."""
    import ctypes

    known = _SOCKET.get(platform.machine())
    if known is None:
        return False
    architecture, socket = known
    rules = (  # seccomp(2): code, jump if true, jump if false, value
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 0, 5, architecture),
        (0x20, 0, 0, 0),  # load the number of the call
        (0x35, 3, 0, _X32),
        (0x15, 2, 0, socket),
        (0x15, 1, 0, _IO_URING_SETUP),
        (0x06, 0, 0, 0x7FFF0000),  # allow
        (0x06, 0, 0, 0x00050001),  # EPERM
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("HP", len(rules), ctypes.addressof(code)))
    return libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0


def _refuse(programs: tuple[str, ...]) -> None:
    here = Path(__file__).resolve().parent.parent
    readable = tuple(
        {
            f"{os.path.realpath(root)}/"
            for root in (
                sys.prefix,
                sys.base_prefix,
                here,
                here.parent / "signalbox",
                "/usr/lib",
                "/usr/share",
                "/proc/self",
            )
        }
        | {f"{root}/" for root in (sys.prefix, sys.base_prefix)}
    )
    files = frozenset({"/dev/null", "/dev/urandom", "/etc/mime.types", "/etc/localtime"})

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _mode, flags = arguments
            if isinstance(path, int):
                return  # something that is open already: a pipe to the one program that is allowed
            if isinstance(flags, int) and flags & _WRITING and path != "/dev/null":
                raise PermissionError(f"A parser may not write: {path!r}.")
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.realpath(os.fsdecode(path))
                if real not in files and not real.startswith(readable):
                    raise PermissionError(f"A parser may not read {real!r}.")
        elif event == "subprocess.Popen":
            if arguments[0] not in programs:
                raise PermissionError("A parser may not start programs.")
        elif event in _CHANGES or (event.startswith(_REFUSED) and not programs):
            raise PermissionError(f"A parser may not use {event!r}.")
        elif event.startswith("socket."):
            raise PermissionError("A parser has no network.")

    sys.addaudithook(hook)
