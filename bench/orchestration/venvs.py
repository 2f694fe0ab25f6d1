"""Virtual environments for the frameworks that do not live beside ours: pinned, from PyPI, made once."""

import shutil
import subprocess
import sys
from pathlib import Path

PINS = {
    "langgraph_graph": ("langgraph==1.2.22", "langchain-core==1.7.2", "uvloop==0.23.0"),
    "microsoft_agent_framework": ("agent-framework-core==1.23.0", "uvloop==0.23.0"),
}


def python_of(framework: str, folder: Path) -> str:
    """The interpreter to run a framework with: ours, or that of its venv, which is made when it is missing."""
    pins = PINS.get(framework)
    return sys.executable if pins is None else str(make_venv(framework, pins, folder))


def make_venv(name: str, pins: tuple[str, ...], folder: Path) -> Path:
    """The interpreter of a venv with exactly these packages, made when it is missing or has others."""
    venv = folder / name
    python = venv / "bin" / "python"
    done = venv / "installed.txt"
    if not done.exists() or done.read_text().split() != list(pins):
        _make(venv, python, pins)
        done.write_text("\n".join(pins))
    return python


def _make(venv: Path, python: Path, pins: tuple[str, ...]) -> None:
    print(f"Making {venv} with {', '.join(pins)}", file=sys.stderr, flush=True)
    uv = shutil.which("uv")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *pins], check=True
        )
    else:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins], check=True)
