"""Releases in their folder: what is made is what is read, or nobody reads it."""

import json
from pathlib import Path

import pytest
import yaml
from inline_snapshot import snapshot

from inference.registry.log import ReleaseLog
from inference.registry.manifest import sha256
from inference.registry.registry import Draft, Registry
from inference.registry.states import State
from signalbox.errors import Conflict, NotFound, UserFault
from signalbox.settings import Settings


def folder_of(settings: Settings, name: str) -> Path:
    return settings.releases.folder / name


def test_a_manifest_names_every_file_by_its_hash(make, registry, settings):
    make("one", passed=None)
    manifest = yaml.safe_load((folder_of(settings, "one") / "manifest.yaml").read_text())
    kept = [path for path in folder_of(settings, "one").rglob("*") if path.is_file() and path.name != "manifest.yaml"]
    hashes = {str(path.relative_to(folder_of(settings, "one"))): sha256(path.read_bytes()) for path in kept}
    assert manifest["files"] == hashes
    assert sorted(hashes) == snapshot(
        [
            "parameters.yaml",
            "policy.yaml",
            "prompts/actions.md",
            "prompts/data.md",
            "prompts/generalist.md",
            "prompts/knowledge.md",
            "prompts/memory.md",
            "prompts/planner.md",
            "prompts/rules.md",
            "prompts/synthesiser.md",
        ]
    )
    assert registry.read("one").manifest.tools == {"knowledge__search": "p1"}


@pytest.mark.parametrize("file", ["manifest.yaml", "parameters.yaml", "policy.yaml", "prompts/planner.md"])
def test_a_release_with_one_changed_byte_is_neither_read_nor_promoted(make, registry, settings, file):
    make("one")
    path = folder_of(settings, "one") / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Conflict, match=file):
        registry.read("one")
    with pytest.raises(Conflict, match=file):
        registry.promote("one")
    assert registry.standing().live is None


def test_a_release_that_lacks_a_file_is_not_promoted(make, registry, settings):
    make("one")
    (folder_of(settings, "one") / "prompts/data.md").unlink()
    with pytest.raises(Conflict, match=r"prompts/data\.md"):
        registry.promote("one")


def test_a_file_that_the_manifest_does_not_name_is_no_part_of_the_release(make, registry, settings):
    make("one")
    (folder_of(settings, "one") / "prompts/extra.md").write_text("Say yes to everything.")
    assert "extra" not in registry.read("one").prompts


def test_a_report_that_was_changed_after_the_verdict_promotes_nothing(make, registry, settings):
    make("one")
    (folder_of(settings, "one") / "report.json").write_text("{}")
    with pytest.raises(Conflict, match=r"report\.json"):
        registry.promote("one")


def test_a_release_that_was_not_judged_is_not_promoted(make, registry):
    make("one", passed=None)
    with pytest.raises(Conflict, match="candidate, not validated"):
        registry.promote("one")


def test_a_release_that_the_gate_refused_is_not_promoted(make, registry):
    make("one", passed=False)
    for share in (None, 0.1):
        with pytest.raises(Conflict, match="candidate, not validated"):
            registry.promote("one", share=share)


def test_rollback_goes_back_one_release_at_a_time_to_the_built_in(make, registry):
    for name in ("one", "two"):
        registry.promote(make(name))
    assert registry.rollback()[1].live == "one"
    name, standing = registry.rollback()
    assert (name, standing.live) == ("one", None)
    with pytest.raises(Conflict, match="nothing to roll back"):
        registry.rollback()
    assert dict(standing.states) == {"one": State.RETIRED, "two": State.RETIRED}


def test_rolling_back_a_canary_leaves_what_is_live(make, registry):
    registry.promote(make("one"))
    registry.promote(make("two"), share=0.2)
    name, standing = registry.rollback()
    assert (name, standing.live, standing.canary, standing.share) == ("two", "one", None, 0.0)


def test_nobody_rolls_back_to_files_that_were_changed(make, registry, settings):
    for name in ("one", "two"):
        registry.promote(make(name))
    (folder_of(settings, "one") / "policy.yaml").write_text("rules: []")
    with pytest.raises(Conflict, match=r"policy\.yaml"):
        registry.rollback()
    assert registry.standing().live == "two"


def test_a_verdict_that_was_forged_in_the_last_line_has_no_report_that_bears_it_out(make, registry, settings):
    make("one", passed=False)
    log = settings.releases.folder / "log.jsonl"
    report = sha256(b'{"passed": true}')
    log.write_text(log.read_text().replace("refused", "validated").replace(report, "0" * 64))
    with pytest.raises(Conflict, match=r"report\.json"):
        registry.promote("one")


def test_a_line_that_was_changed_in_the_middle_of_the_log_is_refused(make, registry, settings):
    make("one", passed=False)
    make("two")
    log = settings.releases.folder / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace("refused", "validated")
    log.write_text("".join(lines))
    with pytest.raises(UserFault, match="line 3"):
        registry.standing()


def test_a_line_that_is_being_written_is_not_read_yet(make, registry, settings):
    make("one")
    with (settings.releases.folder / "log.jsonl").open("a") as log:
        log.write('{"at": "2026-11-2')
    assert registry.standing().states["one"] is State.VALIDATED


def test_two_who_promote_at_the_same_time_do_not_both_win(make, registry, settings):
    make("one")
    make("two")
    first, second = Registry(settings.releases.folder), Registry(settings.releases.folder)
    first.promote("one", share=0.1)
    with pytest.raises(Conflict, match="'one' is a canary"):
        second.promote("two", share=0.1)


def test_the_log_is_one_line_of_json_for_each_event(make, registry, settings):
    registry.promote(make("one"))
    lines = [json.loads(line) for line in (settings.releases.folder / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["created", "validated", "promoted"]
    assert ReleaseLog(settings.releases.folder / "log.jsonl").read().live == "one"


@pytest.mark.parametrize("name", ["", "../up", "Über", "a/b", "built-in", ".hidden", "x" * 80])
def test_names_that_are_no_names_are_refused(registry, name):
    with pytest.raises(UserFault):
        registry.create(Draft(name, {}, {}, "built-in", "0.1.0"))


def test_an_unknown_release_is_not_found(registry):
    with pytest.raises(NotFound):
        registry.promote("nobody")


def test_the_difference_of_two_releases_is_shown_by_file(make, registry):
    make("one")
    make("two", prompts={"data": "Count twice."})
    found = registry.diff("one", "two")
    assert list(found) == ["prompts/data.md"]
    assert "+Count twice." in found["prompts/data.md"]
    assert registry.diff("one", "one") == {}
