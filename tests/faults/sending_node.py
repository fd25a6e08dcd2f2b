"""
A program that embeds a node with an application, for ``pulse send`` to use.

``sending_node.py NODE_ID SECRET_FILE LISTEN STATIC``, the last with commas.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from mycorrizal import Config, Mycorrizal

APPLICATION_ID = "talk"


async def run(
    reactor: Any, node_id: str, secret_file: str, listen: str, static: str
) -> None:
    secret = Path(secret_file).read_text().strip()
    config = Config(
        listen=listen, node_id=node_id, secret=secret, static=static.split(",")
    )
    node = Mycorrizal(reactor, config)
    application = node.register_application(APPLICATION_ID)
    application.set_receive_func(
        lambda payload, sender: print(f"{sender} says {payload.decode()}", flush=True)
    )
    node.startService()
    await node.when_ready()
    print("ready", flush=True)
    await Deferred()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(sys.stderr)], redirectStandardIO=False
    )
    react(run, sys.argv[1:])
