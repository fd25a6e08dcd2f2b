# -*- test-case-name: tests.integration.test_pulse_terminal -*-
"""
What ``pulse demo --stay`` does: three nodes to play with, until Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet.defer import CancelledError, Deferred

from mycorrizal.nodosum import format_address
from mycorrizal.pulse.demo_node import TWIST, DemoNode
from mycorrizal.pulse.demo_story import BUCKET, DemoStory
from mycorrizal.pulse.progress import Progress
from mycorrizal.runtime import Runtime


class DemoStay(DemoStory):
    """
    Three nodes with some values, and how to ask them.

    :param show_data: Is given, when all are there, how to reach them.
    """

    # On 127.0.0.1, as no interface is named.
    options = ("--http", "tcp:0")
    steps_expected = 7

    def __init__(
        self,
        runtime: Runtime,
        directory: Path,
        command: Sequence[str] = TWIST,
        tell: Callable[[str], object] = click.echo,
        progress: Progress | None = None,
        show_data: Callable[[dict[str, Any]], object] = lambda data: None,
    ) -> None:
        super().__init__(runtime, directory, command, tell, progress)
        self._show_data = show_data

    async def run(self) -> None:
        """
        Start them, and wait until they have ended, or until this is cancelled.

        :raises DemoFailed: They could not be started.
        """
        await self._start()
        await self._see_members(self._nodes, "each of the three sees three alive")
        await self._put(self._nodes[0])
        self._show_ways()
        # Not their own: the processes outlive whoever waits for them.
        all_ended: Deferred[None] = Deferred()
        for node in self._nodes:
            node.ended.addCallback(partial(self._ended, node, all_ended))
        try:
            await all_ended
        except CancelledError:
            # Ctrl-C is the end that was announced.
            pass

    def conclude(self) -> str:
        """What is said at the end."""
        return "The nodes end, and what they hold with them."

    def _show_ways(self) -> None:
        places = {
            node.name: format_address(client.address)
            for node, client in self._clients.items()
        }
        variables = {
            "MYCORRIZAL_NODE": places[self._nodes[0].name],
            "MYCORRIZAL_STATE_DIR": str(self._directory),
        }
        said = " ".join(f"{name}={text}" for name, text in variables.items())
        lines = [
            "",
            f"See them in a browser: {click.style(self._nodes[0].page, bold=True)}",
            "Look at them from another terminal:",
            click.style(f"  export {said}", bold=True),
            *(
                click.style(f"  pulse {words}", bold=True)
                for words in (
                    "top",
                    f"explain {BUCKET} key-1",
                    "events --follow",
                )
            ),
            f"End one with kill -9 {self._nodes[-1].pid}, or all with Ctrl-C.",
            "",
        ]
        for line in lines:
            self._tell_line(line)
        self._show_data(
            {
                "environment": variables,
                "nodes": [
                    {
                        "id": node.name,
                        "address": places[node.name],
                        "page": node.page,
                        "pid": node.pid,
                    }
                    for node in self._nodes
                ],
            }
        )

    def _ended(self, node: DemoNode, all_ended: Deferred[None], _: object) -> None:
        if all_ended.called:
            # We have ended it ourselves.
            return
        self._tell(f"{node.name} has ended: {node.exit}")
        if not any(each.running for each in self._nodes):
            all_ended.callback(None)


def print_data(data: dict[str, Any]) -> None:
    """Print it as JSON, at once."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))
