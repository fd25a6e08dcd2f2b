"""
A program whose loop is asyncio's, with a cached function that awaits what the
loop runs: ``asyncio_cached.py SECRET ADDRESS``.
"""

from __future__ import annotations

import asyncio
import sys

from twisted.internet import asyncioreactor


async def main(secret: str, address: str) -> None:
    loop = asyncio.get_running_loop()
    # Before anything imports twisted.internet.reactor.
    asyncioreactor.install(loop)
    from twisted.internet import reactor

    from mycorrizal import Config, Mycorrizal, cached

    reactor.startRunning(installSignalHandlers=False)  # type: ignore[attr-defined]
    config = Config(listen="127.0.0.1:0", static=[address], secret=secret)
    node = Mycorrizal(reactor, config)
    calls = []

    @cached(node, "sessions", in_asyncio=True)
    async def slow(name: str) -> bytes:
        """Something that needs a task to run in."""
        calls.append(name)
        async with asyncio.timeout(5):
            await asyncio.sleep(0.05)
        if name == "bad":
            raise ValueError(name)
        if name == "long":
            await asyncio.sleep(3600)
        return name.encode()

    node.startService()
    await node.when_ready().asFuture(loop)
    values = await asyncio.gather(*(slow("a") for _ in range(100)))
    print(set(values), calls)
    print(await slow.invalidate("a"), await slow.refresh("a"), calls)
    try:
        await slow("bad")
    except ValueError as error:
        print("error:", error)
    try:
        await asyncio.wait_for(slow("long"), 0.2)
    except TimeoutError:
        tasks = [task for task in asyncio.all_tasks() if not task.done()]
        await asyncio.sleep(0.05)
        print("timeout", sum(not task.done() for task in tasks))
    await node.stopService().asFuture(loop)
    reactor.getThreadPool().stop()  # type: ignore[attr-defined]
    print("done")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
