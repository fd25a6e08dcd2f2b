"""
Messages between the applications of two processes.
"""

from __future__ import annotations

import json

from tests.integration.processes import Crew

MESSAGES = 100_000
SECRET = "correct horse battery staple"


def test_all_messages_arrive_in_order(crew: Crew) -> None:
    """100,000 messages of 100 bytes arrive: all of them, each once, in order."""
    secret = crew.secret_file("secret", SECRET)
    receiver = crew.program("talking_node.py", secret, "answer")
    address = json.loads(receiver.wait_for(r"^listens (.*)$")[1])
    sender = crew.program("talking_node.py", secret, "post", address, str(MESSAGES))
    arrived = sender.wait_for(r"^arrived (.*)$", timeout_s=60)
    count, wrong, elapsed_s = json.loads(arrived[1])
    print(f"\n{count / elapsed_s:,.0f} messages/s, {elapsed_s:.2f} s in all")
    assert count == MESSAGES
    assert wrong is None, f"message {wrong} was not in its place"
    assert sender.wait_ended() == 0
    receiver.wait_for('^MemberLeft "post"$')
