"""The audit log: whole, in order, and any change to it shows."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.errors import Conflict
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


async def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises(Conflict, match="open in another process"):
        AuditLog(tmp_path / "audit.jsonl")
    await log.close()
    await AuditLog(tmp_path / "audit.jsonl").close()
