"""
A node whose own code holds up the reactor: ``blocking_node.py SECONDS``.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from twisted.internet import reactor as installed
from twisted.logger import globalLogBeginner, textFileLogObserver

from mycorrizal import Config, Mycorrizal


def hold_up(seconds: float) -> None:
    """What no function of a Twisted program should do."""
    time.sleep(seconds)


def answer(seconds: float) -> None:
    """What calls it."""
    hold_up(seconds)


def main() -> None:
    """Run the node, and then the code that holds it up."""
    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    node = Mycorrizal(reactor, Config(listen="127.0.0.1:0", single=True))
    node.startService()
    reactor.addSystemEventTrigger("before", "shutdown", node.stopService)
    reactor.callLater(0.5, answer, float(sys.argv[1]))
    reactor.run()


if __name__ == "__main__":
    main()
