"""
Nodes on other reactors than the usual one, and in other people's loops.
"""

from __future__ import annotations

import pytest
import pytest_twisted

from mycorrizal.pulse.messages import AskGet, AskPut, Ok, Value
from tests.integration.asking import asked
from tests.integration.processes import Crew


@pytest.mark.parametrize("reactor_name", ["asyncio", "select", "poll"])
@pytest_twisted.ensureDeferred
async def test_reactor(crew: Crew, reactor_name: str) -> None:
    """Nodes on different reactors are one cluster."""
    first = crew.twist("--listen", "127.0.0.1:0", "--bucket", "sessions")
    other = crew.twist(
        *("--listen", "127.0.0.1:0", "--static", first.address),
        twist=[f"--reactor={reactor_name}"],
        name=reactor_name,
    )
    other.wait_for("Ready")
    (put,) = await asked(other.address, crew.secret, [AskPut("sessions", "a", b"1")])
    assert isinstance(put, Ok) and put.copies == 2, put
    (got,) = await asked(first.address, crew.secret, [AskGet("sessions", "a")])
    assert isinstance(got, Value) and got.value == b"1", got
    other.terminate()
    first.wait_for(f"{other.node_id} left")
    other.wait_ended()
    assert "Traceback" not in other.log


@pytest_twisted.ensureDeferred
async def test_inside_an_asyncio_program(crew: Crew) -> None:
    """An asyncio program embeds a node; it ends by itself, and the value stays."""
    member = crew.twist("--listen", "127.0.0.1:0", "--bucket", "sessions")
    address = member.address
    program = crew.program("asyncio_program.py", crew.secret, address, "a key")
    assert program.wait_ended() == 0, program.log
    assert "2 nodes, 2 copies, b'by asyncio'\ndone\n" in program.log
    member.wait_for(r"Members \[1\]", since=member.log.index(" joined"))
    (got,) = await asked(address, crew.secret, [AskGet("sessions", "a key")])
    assert isinstance(got, Value) and got.value == b"by asyncio", got


def test_cached_inside_an_asyncio_program(crew: Crew) -> None:
    """A cached function of asyncio runs as a task there, once for all who call it."""
    member = crew.twist("--listen", "127.0.0.1:0", "--bucket", "sessions")
    address = member.address
    program = crew.program("asyncio_cached.py", crew.secret, address)
    assert program.wait_ended() == 0, program.log
    assert program.log.splitlines() == [
        "{b'a'} ['a']",
        "True b'a' ['a', 'a']",
        "error: bad",
        "timeout 1",
        "done",
    ], program.log
