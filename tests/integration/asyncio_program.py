"""
A program whose loop is asyncio's, with a node in it: ``asyncio_program.py
SECRET ADDRESS KEY``.

It puts a value through its node, reads it and ends by itself. The loop is the
program's own; the node never stops it.
"""

from __future__ import annotations

import asyncio
import sys

from twisted.internet import asyncioreactor


async def main(secret: str, address: str, key: str) -> None:
    loop = asyncio.get_running_loop()
    # Before anything imports twisted.internet.reactor.
    asyncioreactor.install(loop)
    from twisted.internet import reactor
    from twisted.internet.defer import maybeDeferred

    from mycorrizal import Config, Mycorrizal

    reactor.startRunning(installSignalHandlers=False)  # type: ignore[attr-defined]
    node = Mycorrizal(
        reactor, Config(listen="localhost:0", static=[address], secret=secret)
    )
    node.startService()
    await node.when_ready().asFuture(loop)
    copies = await node.cache().put("sessions", key, b"by asyncio").asFuture(loop)
    value = await node.cache().get("sessions", key).asFuture(loop)
    sys.stdout.write(f"{len(node.nodes())} nodes, {copies} copies, {value!r}\n")
    await maybeDeferred(node.stopService).asFuture(loop)
    # A lookup of a name starts a thread, which would keep the process.
    reactor.getThreadPool().stop()  # type: ignore[attr-defined]
    # The loop is still ours, and runs.
    await asyncio.sleep(0)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
