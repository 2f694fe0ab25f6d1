"""The package is what it says: the SDK is not hidden, the lock names no index, the wheel starts in a clean place."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_a2a_is_the_sdk_from_the_repository_root() -> None:
    code = "import a2a.types; print(a2a.types.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(Path(sys.prefix))
    assert not (ROOT / "a2a" / "__init__.py").exists()


def test_the_lock_has_hashes_and_names_no_index_and_no_torch() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert not re.search(r"https?://|--index-url|--find-links|--trusted-host", text), path.name
    pinned = {
        match[1].lower()
        for name in ("app", "embedder")
        for match in re.finditer(r"^([A-Za-z0-9_.-]+)==", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE)
    }
    assert {"autogen-agentchat", "semantic-kernel", "mcp", "a2a-sdk", "chromadb", "fastapi"} <= pinned
    assert not {name for name in pinned if name == "torch" or name.startswith(("nvidia-", "sentence-transformers"))}


@pytest.mark.slow
def test_the_wheel_installs_in_a_clean_environment_and_starts(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "a2a_bridge/card.py" in names
    assert not [name for name in names if name.startswith("a2a/")]
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for name in ("app", "embedder"):
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / f"requirements/{name}.txt")], check=True)
    subprocess.run([*pip, str(wheel)], check=True)
    code = (
        "import subprocess, sys, time, urllib.request, signal\n"
        "process = subprocess.Popen([sys.argv[1], 'up'])\n"
        "deadline = time.time() + 240\n"
        "ready = False\n"
        "while time.time() < deadline and process.poll() is None and not ready:\n"
        "    try: ready = urllib.request.urlopen('http://127.0.0.1:18099/readyz').status == 200\n"
        "    except OSError: time.sleep(0.5)\n"
        "process.send_signal(signal.SIGINT)\n"
        "sys.exit(0 if ready and process.wait(20) == 0 else 1)\n"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "SIGNALBOX__DATA_DIR": str(tmp_path / "var"),
        "SIGNALBOX__GATEWAY__PORT": "18099",
    }
    command = [str(python), "-c", code, str(python.with_name("signalbox"))]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
