"""The audit log: whole, in order, and any change to it shows."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.errors import Conflict, UpstreamDown
from tests.toolbus.full_disk import LARGE, full_disk
from tests.toolbus.world import World
from toolbus.audit import AuditLog, read, verify


async def written(path: Path, count: int) -> list[str]:
    log = AuditLog(path)
    for number in range(count):
        text = ("plain", "ü\u2028", "\ud800")[number % 3]  # the last is half a character: no UTF-8
        log.append({"event": "test", "number": number, "cost": 1e-07, "text": text, "path": path})
    await log.close()
    return path.read_text().splitlines()


async def test_what_was_written_verifies_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await written(path, 3)
    await written(path, 2)
    found = verify(path)
    assert (found.records, found.intact) == (5, True)
    assert [record["number"] for record in read(path) if record] == [0, 1, 2, 0, 1]


async def test_a_flush_means_that_it_is_on_disk(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.append({"event": "one"})
    await log.flush()
    assert verify(tmp_path / "audit.jsonl") == verify(tmp_path / "audit.jsonl")
    assert verify(tmp_path / "audit.jsonl").head == log.head
    await log.close()


async def test_many_writers_at_once_keep_the_chain(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")

    async def writer(name: int) -> None:
        for number in range(50):
            log.append({"event": "test", "writer": name, "number": number})
            if number % 10 == 0:
                await log.flush()

    await asyncio.gather(*(writer(name) for name in range(10)))
    await log.close()
    assert (verify(tmp_path / "audit.jsonl").records, verify(tmp_path / "audit.jsonl").intact) == (500, True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(data=st.data())
def test_any_change_to_any_line_is_found(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "audit.jsonl"
    path.unlink(missing_ok=True)
    lines = asyncio.run(written(path, 5))
    index = data.draw(st.integers(0, 4))
    match data.draw(st.sampled_from(["alter", "remove", "swap", "insert", "rehash"])):
        case "alter":
            position = data.draw(st.integers(0, len(lines[index]) - 1))
            old = lines[index][position]
            lines[index] = lines[index][:position] + ("0" if old != "0" else "1") + lines[index][position + 1 :]
        case "remove" if index < 4:
            del lines[index]
        case "swap" if index < 4:
            lines[index], lines[index + 1] = lines[index + 1], lines[index]
        case "insert":
            lines.insert(index, lines[index])
        case _:
            record = json.loads(lines[index])
            record["number"] = 99
            lines[index] = json.dumps(record)
    path.write_text("\n".join(lines) + "\n")
    assert not verify(path).intact


async def test_cutting_off_the_end_shows_against_a_head_that_was_kept_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = await written(path, 3)
    head = verify(path).head
    path.write_text("\n".join(lines[:2]) + "\n")
    assert verify(path).intact
    assert verify(path).head != head


async def test_a_line_torn_by_a_crash_is_dropped_and_that_is_on_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = await written(path, 2)
    path.write_text("\n".join(lines) + "\n" + lines[1][:40])
    await AuditLog(path).close()
    assert verify(path).intact
    last = [record for record in read(path) if record][-1]
    assert (last["event"], last["dropped_bytes"]) == ("audit.recovered", 40)


async def test_records_that_found_the_disk_full_are_written_later_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.append(LARGE)
    await log.flush()
    with full_disk(path):
        log.append({"event": "test", "number": 1})
        with pytest.raises(UpstreamDown, match=r"'audit.jsonl' cannot be written \(File too large\)"):
            await log.flush()
        assert (verify(path).records, verify(path).intact) == (1, True)  # no half line
        assert log.status() == "it cannot be written (File too large), records wait in memory"
    log.append({"event": "test", "number": 2})
    await log.flush()
    log.append({"event": "test", "number": 3})
    await log.close()
    assert (verify(path).records, verify(path).intact, log.status()) == (4, True, "up")
    assert [record["number"] for record in read(path) if record and "number" in record] == [1, 2, 3]


async def test_a_full_disk_is_tried_again_without_being_asked(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.append(LARGE)
    await log.flush()
    with full_disk(path):
        log.append({"event": "test"})
        while log.status() == "up":
            await asyncio.sleep(0.01)
    while log.status() != "up":
        await asyncio.sleep(0.01)
    assert (verify(path).records, verify(path).intact) == (2, True)
    await log.close()


async def test_a_log_that_ends_on_a_full_disk_is_let_go_and_intact(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.append(LARGE)
    await log.flush()
    with full_disk(path):
        log.append({"event": "test"})
        await log.close()
    await AuditLog(path).close()
    assert (verify(path).records, verify(path).intact) == (1, True)


async def test_what_cannot_be_recorded_does_not_happen(world: World) -> None:
    async with world.open() as bus:
        chain = world.context().chain
        world.audit.append(LARGE)
        await world.audit.flush()
        with full_disk(world.audit_path):
            written = await bus.raw_call(chain, "probe__write", {"text": "x"})
            assert "'write' was not called" in written.text.replace("probe__", "")
            assert (await bus.raw_call(chain, "probe__add", {"a": 1, "b": 1})).status == "ok"
            world.audit.append({"event": "test", "text": "x" * 9_000_000})  # as much as may wait in memory
            refused = await bus.raw_call(chain, "probe__add", {"a": 2, "b": 2})
            assert (refused.status, "nothing may happen unrecorded" in refused.text) == ("error", True)
        await world.audit.flush()
        assert (await bus.raw_call(chain, "probe__write", {"text": "y"})).status == "ok"
    assert world.noted() == ["add 1 1", "write y"]
    calls = [(record["tool"], record["outcome"]) for record in read(world.audit_path) if record and "tool" in record]
    assert calls == [
        ("probe__write", "started"),
        ("probe__write", "error"),
        ("probe__add", "ok"),
        ("probe__write", "started"),
        ("probe__write", "ok"),
    ]
    assert verify(world.audit_path).intact


async def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises(Conflict, match="open in another process"):
        AuditLog(tmp_path / "audit.jsonl")
    await log.close()
    await AuditLog(tmp_path / "audit.jsonl").close()
