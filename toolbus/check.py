"""`signalbox tools check SERVER`: does a server do what its tools declare? Asked before its tools are admitted.

Only tools that call themselves read-only are called, with made-up arguments: valid ones must work or fail in words,
invalid ones must be refused, replies must fit their declared schema. What cannot be proven from outside (that a tool
really changes nothing) is looked at from its words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from signalbox.errors import SignalboxError, ToolFault, UpstreamDown
from signalbox.identity import Chain
from toolbus.arguments import ArgumentCheck
from toolbus.catalogue import clean_text, pin_of
from toolbus.samples import invalid, valid
from toolbus.settings import ToolBusSettings
from toolbus.sources import DeclaredTool, SourceCall, SourceResult, ToolSource

_WRITING = re.compile(
    r"(?i)(^|[_\-. ])(create|delete|remove|update|write|send|post|put|set|add|insert|drop|move|rename|pay|buy|cancel"
    r"|approve|execute|run|install|upload|publish)([_\-. ]|$)"
)
_COMMANDING = re.compile(
    r"(?i)ignore (all|any|the)?\s*(previous|other|above)|do not (tell|mention|inform)"
    r"|<\s*/?\s*(system|important|instructions?)\b"
    r"|before (using|calling) (any|this|other)|must (first|always) (read|call|send)"
)
_MANY = 3


@dataclass(frozen=True)
class Finding:
    """One observation about one tool; tool is empty for the server as a whole."""

    tool: str
    level: Literal["ok", "warning", "fault"]
    text: str


@dataclass(frozen=True)
class CheckReport:
    """What the check found; `passed` when nothing is a fault."""

    server: str
    findings: tuple[Finding, ...]
    calls: int

    @property
    def passed(self) -> bool:
        """Whether the server may be admitted as far as the check can tell."""
        return all(finding.level != "fault" for finding in self.findings)


async def check_source(source: ToolSource, settings: ToolBusSettings, *, chain: Chain) -> CheckReport:
    """Start a source that is not started yet, exercise its read-only tools as `chain`, close it."""
    return await _Checker(source, settings, chain).run()


class _Checker:
    def __init__(self, source: ToolSource, settings: ToolBusSettings, chain: Chain) -> None:
        self._source = source
        self._settings = settings
        self._chain = chain
        self._arguments = ArgumentCheck(settings.max_argument_bytes)
        self._listings: list[dict[str, str]] = []
        self._tools: dict[str, DeclaredTool] = {}
        self._findings: list[Finding] = []
        self._calls = 0

    async def run(self) -> CheckReport:
        try:
            await self._source.start(self._listed)
            if self._source.status() != "up":
                self._note("", "fault", f"It does not start: {self._source.status()}")
            for tool in list(self._tools.values()):
                self._read(tool)
                if tool.read_only:
                    await self._exercise(tool)
            self._compare_listings()
        finally:
            await self._source.close()
        return CheckReport(self._source.name, tuple(self._findings), self._calls)

    def _listed(self, _source: ToolSource, tools: Sequence[DeclaredTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._listings.append({tool.name: pin_of(tool) for tool in tools})

    def _note(self, tool: str, level: Literal["ok", "warning", "fault"], text: str) -> None:
        self._findings.append(Finding(tool, level, text))

    def _read(self, tool: DeclaredTool) -> None:
        if not tool.description.strip():
            self._note(tool.name, "fault", "It has no description: no model can know when to use it.")
        if clean_text(tool.description, len(tool.description) + 1) != tool.description:
            self._note(tool.name, "fault", "Its description holds invisible or control characters.")
        if _COMMANDING.search(tool.description):
            self._note(tool.name, "warning", "Its description gives orders to the model; read it before you approve.")
        if tool.read_only and _WRITING.search(tool.name):
            self._note(tool.name, "warning", "It says that it only reads, and its name says that it changes things.")
        if not tool.read_only:
            self._note(tool.name, "ok", "It may change things, so it was not called.")
        undescribed = [
            name
            for name, part in tool.input_schema.get("properties", {}).items()
            if isinstance(part, dict) and not (part.get("description") or part.get("enum") or part.get("$ref"))
        ]
        if len(undescribed) >= _MANY:
            self._note(tool.name, "warning", f"Arguments without description: {', '.join(undescribed[:5])}.")

    async def _exercise(self, tool: DeclaredTool) -> None:
        pin = pin_of(tool)
        samples = [valid(tool.input_schema, full=False), valid(tool.input_schema, full=True)]
        sound = [sample for sample in samples if not self._arguments.fault(pin, tool.input_schema, sample)]
        if not sound:
            self._note(tool.name, "warning", "No valid arguments could be made up from its schema; try it by hand.")
            return
        for sample in sound if sound[0] != sound[-1] else sound[:1]:
            await self._accepts(tool, sample)
        for how, sample in invalid(tool.input_schema):
            if self._arguments.fault(pin, tool.input_schema, sample):
                await self._refuses(tool, how, sample)

    async def _accepts(self, tool: DeclaredTool, sample: dict[str, object]) -> None:
        try:
            result = await self._call(tool, sample)
        except (ToolFault, UpstreamDown) as error:
            self._note(tool.name, "fault", f"A valid call failed: {error}")
            return
        if result.is_error:
            self._note(tool.name, "ok", f"A valid call was answered with an error in words: {result.text[:120]}")
        else:
            self._note(tool.name, "ok", "A valid call worked, and its reply fits what it declares.")

    async def _refuses(self, tool: DeclaredTool, how: str, sample: dict[str, object]) -> None:
        try:
            result = await self._call(tool, sample)
        except UpstreamDown as error:
            self._note(tool.name, "fault", f"A call {how} brought it down: {error}")
        except SignalboxError:
            self._note(tool.name, "ok", f"A call {how} was refused.")
        else:
            if result.is_error:
                self._note(tool.name, "ok", f"A call {how} was refused.")
            else:
                self._note(tool.name, "warning", f"A call {how} was accepted, against its own schema.")

    async def _call(self, tool: DeclaredTool, arguments: dict[str, object]) -> SourceResult:
        self._calls += 1
        return await self._source.call(
            SourceCall(
                tool=tool.name,
                arguments=arguments,
                chain=self._chain,
                call_id=f"check_{uuid4().hex[:24]}",
                timeout_s=self._settings.call_timeout_s,
                replayable=True,
            )
        )

    def _compare_listings(self) -> None:
        if any(listing != self._listings[0] for listing in self._listings[1:]):
            self._note("", "fault", "It changed its tools while it was being checked.")
        if self._source.restarts:
            self._note("", "fault", f"It died {self._source.restarts} times while it was being checked.")
