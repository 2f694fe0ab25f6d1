"""Profiles are files that vLLM's own parser takes, and each says why it is as it is."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from inference.vllm.serving_profile import Profile, find_profile, list_profiles
from signalbox.errors import NotFound, UserFault

CHAT = {"h200-main", "gpu-24gb", "multi-gpu", "cpu-dev", "ci"}


def test_every_machine_of_the_documentation_has_its_profile():
    assert list_profiles() == ["ci", "cpu-dev", "gpu-24gb", "h200-embed", "h200-guard", "h200-main", "multi-gpu"]


@pytest.mark.parametrize("name", list_profiles())
def test_a_profile_says_why_and_reports_nothing_to_others(name):
    profile = find_profile(name)
    text = profile.config.read_text()
    assert text.startswith("# ")
    assert text.count(" # ") >= 3
    assert profile.environment["VLLM_NO_USAGE_STATS"] == "1"
    assert profile.options()["host"] == "127.0.0.1", "opening it to others is a decision, never a default"


@pytest.mark.parametrize("name", list_profiles())
def test_no_profile_says_false_where_vllm_would_drop_it(name):
    """`vllm serve --config` 0.32 leaves `option: false` out; `no-option: true` arrives."""
    assert [option for option, value in find_profile(name).options().items() if value is False] == []


@pytest.mark.parametrize("name", sorted(CHAT))
def test_a_profile_for_chat_has_what_the_layer_above_relies_on(name):
    options = find_profile(name).options()
    assert options["scheduling-policy"] == "priority"
    assert options["structured-outputs-config"]["disable_any_whitespace"] is True
    assert options["enable-auto-tool-choice"] is True
    assert options["enable-prompt-tokens-details"] is True
    assert options["shutdown-timeout"] > 0, "0 leaves streams open without an error"
    assert name == "ci" or options["tool-strict-level"] == "parameter"


def test_the_servers_of_one_h200_fit_on_it():
    names = ("h200-main", "h200-guard", "h200-embed")
    assert sum(find_profile(name).options()["gpu-memory-utilization"] for name in names) <= 0.9


def test_a_profile_of_your_own_is_a_file(tmp_path):
    config = tmp_path / "ours.yaml"
    config.write_text("max-model-len: 4096\nssl-certfile: server.pem\n")
    config.with_suffix(".env").write_text("# why\nA=1\n\nB = two=2\n")
    profile = find_profile(str(config))
    assert profile == Profile("ours", config, {"A": "1", "B": "two=2"})
    assert profile.speaks_tls


def test_what_is_no_profile_is_said(tmp_path):
    with pytest.raises(NotFound, match="h200"):
        find_profile("h200")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(UserFault, match="not valid YAML"):
        find_profile(str(broken)).options()
    broken.with_suffix(".env").write_text("NAME")
    with pytest.raises(UserFault, match="line 1"):
        find_profile(str(broken))


@pytest.mark.vllm
def test_vllm_understands_every_option_of_every_profile(command: Path):
    profiles = [find_profile(name) for name in list_profiles()]
    script = Path(__file__).with_name("parse_profiles.py")
    done = subprocess.run(
        [str(command.with_name("python")), str(script), *(str(profile.config) for profile in profiles)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for profile, understood in zip(profiles, lines, strict=True):
        for option, wanted in profile.options().items():
            if option.startswith("no-"):
                option, wanted = option.removeprefix("no-"), False  # noqa: PLW2901
            got = understood[option.replace("-", "_")]
            if isinstance(wanted, int | float | str | list) and option not in ("kv-cache-dtype", "served-model-name"):
                assert got == wanted, f"{profile.name}: {option}"
