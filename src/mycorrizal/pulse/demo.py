# -*- test-case-name: tests.pulse.test_demo_story,tests.integration.test_pulse_cli -*-
"""
``pulse demo``: runs three real nodes on this machine, and cleans up.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.errors import MycorrizalError
from mycorrizal.pulse import render
from mycorrizal.pulse.demo_node import TWIST, twist_command
from mycorrizal.pulse.demo_stay import DemoStay, print_data
from mycorrizal.pulse.demo_story import VALUES, DemoFailed, DemoStory
from mycorrizal.pulse.progress import Progress
from mycorrizal.pulse.session import EXIT_INTERRUPTED, EXIT_REFUSED
from mycorrizal.runtime import Runtime


def _told(result: Failure | None, demo: DemoStory, as_json: bool) -> int:
    """How the story ended: says what went wrong, gives the exit code."""
    if result is None and as_json and isinstance(demo, DemoStay):
        return 0
    if result is None and as_json:
        steps = [{"at_s": round(at_s, 3), "what": what} for at_s, what in demo.steps]
        told = msgspec.json.encode({"values": VALUES, "steps": steps})
        click.echo(msgspec.json.format(told, indent=2))
        return 0
    if result is None:
        click.echo(demo.conclude())
        if not isinstance(demo, DemoStay):
            words = f"  {twist_command()} mycorrizal --help"
            click.echo(click.style(words, bold=True))
        return 0
    error = result.value
    if isinstance(error, CancelledError):
        click.echo("pulse: interrupted", err=True)
        return EXIT_INTERRUPTED
    if not isinstance(error, MycorrizalError):
        Logger().failure("The demonstration failed", failure=result)
    click.echo(f"pulse: {render.printable(str(error))}", err=True)
    node = error.node if isinstance(error, DemoFailed) else None
    if node is not None and node.log:
        click.echo(f"The log of {node.name} ends with:", err=True)
        for line in node.log:
            click.echo(f"  {render.printable(line)}", err=True)
    return EXIT_REFUSED


def _say_nothing(line: object) -> None:
    pass


def run_demo(
    command: Sequence[str] = TWIST, *, as_json: bool = False, stay: bool = False
) -> int:
    """
    Run the demonstration with the process's reactor, and clean up after it.

    :param command: What begins the command line of a node.
    :param as_json: Whether to print JSON at the end, and no lines before it.
    :param stay: Whether to leave the nodes running, until Ctrl-C.
    :return: The exit code: 0 if all of it was seen to happen.
    """
    from twisted.internet import reactor

    turning: Any = reactor
    codes: list[int] = []
    stories: list[Deferred[None]] = []

    def ended(code: int) -> None:
        codes.append(code)
        if stories:
            stories.clear()
            turning.stop()

    with tempfile.TemporaryDirectory(prefix="mycorrizal-demo-") as directory:
        tell = _say_nothing if as_json else click.echo
        progress = Progress(quiet=as_json, lines=False)
        about = (Runtime(turning), Path(directory), command, tell, progress)
        demo = DemoStory(*about)
        if stay:
            demo = DemoStay(*about, print_data if as_json else _say_nothing)

        def begin() -> None:
            story = Deferred.fromCoroutine(demo.run())
            stories.append(story)
            story.addBoth(_told, demo, as_json).addCallback(ended)
            story.addBoth(lambda _: progress.end())

        def end() -> Deferred[Any]:
            # Also after Ctrl-C, in the midst of the story.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: demo.kill())
            while stories:
                stories.pop().cancel()
            return demo.clean_up()

        turning.callWhenRunning(begin)
        turning.addSystemEventTrigger("before", "shutdown", end)
        turning.run()
    return codes[0] if codes else EXIT_INTERRUPTED
