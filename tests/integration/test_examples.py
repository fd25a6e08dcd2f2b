"""
The examples, and the programs in the README and the pages, do what they say.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mycorrizal import new_secret
from tests.integration.processes import PATIENCE_S, Crew, Running, free_ports
from tests.pages import ROOT, page_program, readme_programs

#: The secret in the programs of the README and the pages.
SHOWN_SECRET = "for trying this out"


def places(count: int) -> list[str]:
    """Free addresses."""
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


def example(crew: Crew, name: str, *arguments: str) -> Running:
    """Start an example, with a secret in the environment."""
    secret = crew.home / "shared-secret"
    if not secret.exists():
        crew.secret_file(secret.name, new_secret(os.urandom(32)))
    environment = {"MYCORRIZAL_SECRET_FILE": str(secret)}
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    return crew.start(arguments[0], command, environment)


def written(crew: Crew, name: str, program: str, moved: dict[str, str]) -> Path:
    """Write a program of a page, with addresses that are free here."""
    for shown, free in moved.items():
        assert shown in program
        program = program.replace(shown, free)
    path = crew.home / name
    path.write_text(program)
    return path


# -- examples -----------------------------------------------------------------


def test_chat(crew: Crew) -> None:
    """What one says is read by both others, who know only the first's address."""
    first, second, third = places(3)
    ada = example(crew, "chat.py", "ada", first)
    ada.wait_for(r"^\* 0 others are here")
    grace = example(crew, "chat.py", "grace", second, first)
    grace.wait_for(r"^\* 1 others are here")
    edith = example(crew, "chat.py", "edith", third, first)
    edith.wait_for(r"^\* 2 others are here")
    ada.wait_for(r"^\* edith came")
    grace.wait_for(r"^\* edith came")
    assert grace.process.stdin is not None and edith.process.stdin is not None
    grace.process.stdin.write("is this on?\n¿sí?\n".encode())
    grace.process.stdin.flush()
    for reader in (ada, edith):
        reader.wait_for(r"^grace: is this on\?\ngrace: ¿sí\?\n")
    edith.process.stdin.close()
    assert edith.wait_ended() == 0, edith.log
    ada.wait_for(r"^\* edith went")


def get(port: str, cookie: str = "", path: str = "/") -> tuple[int, str, str]:
    """Ask a web server: status, body, and the cookie it has set."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        set_cookie = response.getheader("Set-Cookie", "").partition(";")[0]
        return response.status, response.read().decode(), set_cookie
    finally:
        connection.close()


def test_sessions(crew: Crew) -> None:
    """A visitor keeps the session when the server that made it is killed."""
    first, second = places(2)
    left = example(crew, "sessions.py", "left", first, "0")
    left_port = left.wait_for(r"^http://127\.0\.0\.1:(\d+)/")[1]
    right = example(crew, "sessions.py", "right", second, "0", first)
    right_port = right.wait_for(r"^http://127\.0\.0\.1:(\d+)/")[1]
    status, body, cookie = get(left_port)
    assert (status, body) == (200, "visit 1, from left\n"), left.log
    assert get(right_port, cookie) == (200, "visit 2, from right\n", "")
    left.kill()
    assert get(right_port, cookie) == (200, "visit 3, from right\n", "")
    _, body, other = get(right_port, "session=guessed")
    assert body == "visit 1, from right\n" and other != "session=guessed"
    right.terminate()
    assert right.wait_ended() in (0, -signal.SIGTERM), right.log


def test_weather(crew: Crew) -> None:
    """Servers that are asked the same at the same time ask the service once."""
    first, second = places(2)
    left = example(crew, "weather.py", "left", first, "0")
    left_port = left.wait_for(r"^http://127\.0\.0\.1:(\d+)/")[1]
    right = example(crew, "weather.py", "right", second, "0", first)
    right_port = right.wait_for(r"^http://127\.0\.0\.1:(\d+)/")[1]
    with ThreadPoolExecutor() as pool:
        ports = [left_port, right_port] * 5
        answers = list(pool.map(lambda port: get(port, path="/oslo"), ports))
    (answer,) = set(answers)
    assert answer[:2] in (
        (200, "oslo, clear, left\n"),
        (200, "oslo, clear, right\n"),
    ), left.log + right.log
    assert (left.log + right.log).count("asking about oslo") == 1
    right.terminate()
    assert right.wait_ended() in (0, -signal.SIGTERM), right.log
    assert get(left_port, path="/oslo") == answer


# -- programs in pages ----------------------------------------------------------


def test_readme(crew: Crew) -> None:
    """The README's program runs as it stands, alone and beside a node."""
    seed, nobody = places(2)
    moved = {"127.0.0.1:6969": seed, "127.0.0.1:6970": nobody}
    path = written(crew, "readme.py", readme_programs()[0], moved)
    alone = crew.start("alone", [sys.executable, str(path)])
    assert alone.wait_ended() == 0, alone.log
    assert alone.log == "b'Ada' copies: 1\n"
    secret = crew.secret_file("shown", SHOWN_SECRET)
    node = crew.twist("--listen", seed, "--secret-file", secret)
    node.wait_for("Ready")
    beside = crew.start("beside", [sys.executable, str(path)])
    assert beside.wait_ended() == 0, beside.log
    assert beside.log == "b'Ada' copies: 2\n"


def test_tutorial(crew: Crew) -> None:
    """The tutorial's program joins a node with the secret that this one made."""
    (seed,) = places(1)
    crew.twist("--listen", seed, "--node-id", "tree-1").wait_for("Ready")
    program = page_program("tutorial/first-cluster.rst", "hello.py")
    path = written(crew, "hello.py", program, {"127.0.0.1:7001": seed})
    hello = crew.start("hello", [sys.executable, str(path)])
    assert hello.wait_ended() == 0, hello.log
    assert hello.log.splitlines() == [
        "guest alive",
        "tree-1 alive",
        "copies: 2",
        "value: b'Grace'",
    ]


def test_twisted_application_and_asyncio(crew: Crew) -> None:
    """The how-to's ``.tac`` file and its asyncio program form one cluster."""
    first, second = places(2)
    moved = {"127.0.0.1:7001": first, "127.0.0.1:7002": second}
    shop = written(crew, "shop.tac", page_program("howto/embed.rst", "shop.tac"), moved)
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    application = crew.start("shop", [*twistd, "-ny", str(shop), "--pidfile="])
    application.wait_for("Ready, with 1 nodes")
    program = page_program("howto/embed.rst", "service.py")
    path = written(crew, "service.py", program, moved)
    service = crew.start("service", [sys.executable, str(path)])
    assert service.wait_ended() == 0, service.log
    assert service.log == "b'Ada'\n"
    application.terminate()
    assert application.wait_ended() in (0, -signal.SIGTERM), application.log
