"""Semantic Kernel, hidden: one process-wide `Kernel`, every tool a `KernelFunction`, the filters around each.

Nothing outside this module imports the library. Its metadata cannot hold a JSON Schema faithfully, so the verbatim
schema travels in `additional_properties`; its logs hold arguments at DEBUG and errors in full, so they are silenced.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from pydantic import PrivateAttr
from semantic_kernel import Kernel
from semantic_kernel.filters import FilterTypes, FunctionInvocationContext
from semantic_kernel.functions import (
    FunctionResult,
    KernelArguments,
    KernelFunction,
    KernelFunctionMetadata,
    KernelPlugin,
)

from signalbox.errors import Bug
from toolbus.call import Call, Invoke
from toolbus.contracts import ToolOutcome, ToolSpec
from toolbus.filters import Filter


class _CallArguments(KernelArguments):
    """Carries the call beside its arguments, so that no argument's name can clash with anything of the library's."""

    call: Call


class GovernedKernel:
    """Runs calls through the filters, outermost first."""

    def __init__(self, filters: Sequence[Filter], invoke: Invoke) -> None:
        for name in ("semantic_kernel", "semantic_kernel.kernel", "semantic_kernel.functions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._kernel = Kernel()
        self._invoke = invoke
        for filter_ in filters:
            self._kernel.add_filter(FilterTypes.FUNCTION_INVOCATION, _adapt(filter_))
        self._functions: dict[str, tuple[str, KernelFunction]] = {}

    def install(self, tools: Sequence[ToolSpec]) -> None:
        """These are the tools from now on; those that did not change keep their function."""
        current: dict[str, tuple[str, KernelFunction]] = {}
        for tool in tools:
            known = self._functions.get(tool.name)
            current[tool.name] = known if known and known[0] == tool.pin else (tool.pin, _Tool.of(tool, self._invoke))
        self._functions = current
        by_server: dict[str, list[KernelFunction]] = {}
        for tool in tools:
            by_server.setdefault(_identifier(tool.server), []).append(current[tool.name][1])
        self._kernel.plugins.clear()
        for server, functions in by_server.items():
            self._kernel.plugins[server] = KernelPlugin(name=server, functions=functions)

    async def run(self, call: Call) -> ToolOutcome:
        """The outcome of one call; raises only when it is cancelled or when we have a bug."""
        _, function = self._functions[call.tool.name]
        arguments = _CallArguments()
        arguments.call = call
        result = await function.invoke(self._kernel, arguments, metadata={"id": call.call_id})
        if result is None:
            raise Bug(f"The call of {call.tool.name!r} ended without an outcome.")
        return result.value


class _Tool(KernelFunction):
    """One tool as the library sees it. Its arguments are the call; what it returns is the call's outcome."""

    _run: Invoke = PrivateAttr()

    @classmethod
    def of(cls, tool: ToolSpec, run: Invoke) -> "_Tool":
        """The function of a tool."""
        metadata = KernelFunctionMetadata(
            name=tool.name,
            plugin_name=_identifier(tool.server),
            description=tool.description,
            is_prompt=False,
            is_asynchronous=True,
            additional_properties={"input_schema": tool.input_schema, "pin": tool.pin},
        )
        function = cls(metadata=metadata)
        function._run = run
        return function

    async def _invoke_internal(self, context: FunctionInvocationContext) -> None:
        assert isinstance(context.arguments, _CallArguments)
        context.result = FunctionResult(function=self.metadata, value=await self._run(context.arguments.call))

    async def _invoke_internal_stream(self, context: FunctionInvocationContext) -> None:
        raise NotImplementedError("A tool call has one result.")


def _adapt(filter_: Filter) -> Callable[..., Awaitable[None]]:
    async def adapted(context: FunctionInvocationContext, next: Callable[..., Awaitable[None]]) -> None:
        arguments = context.arguments
        assert isinstance(arguments, _CallArguments)
        outcome = await filter_(arguments.call, partial(_proceed, context, next))
        if context.result is None or context.result.value is not outcome:
            context.result = FunctionResult(function=context.function.metadata, value=outcome)

    return adapted


async def _proceed(context: FunctionInvocationContext, proceed: Callable[..., Awaitable[None]]) -> ToolOutcome:
    await proceed(context)
    if context.result is None:
        raise Bug(f"{context.function.name!r} ended without an outcome.")
    return context.result.value


def _identifier(server: str) -> str:
    return server.replace("-", "_")
