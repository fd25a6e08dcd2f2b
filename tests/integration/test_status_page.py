"""
The status page in a real browser, and the metrics in a real Prometheus.

``MYCORRIZAL_TEST_PICTURES`` names a directory that pictures of the page are
put in, to be looked at.
"""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.browser import CHROMIUM, Browser
from tests.integration.processes import Crew, Running, free_ports, until
from tests.integration.prometheus import PROMETHEUS, PROMTOOL, Prometheus

LIVE = "document.getElementById('connection')?.textContent === 'live'"
#: How soon the page has to show that a node was killed.
SHOWN_S = 2.0


class Pages:
    """Three nodes, each with a page."""

    def __init__(self, crew: Crew, *more: str) -> None:
        self.crew = crew
        ports = free_ports(6)
        self.addresses = [f"127.0.0.1:{port}" for port in ports[:3]]
        self.pages = ports[3:]
        self.nodes: list[Running] = []
        for number in range(3):
            node = crew.twist(
                *("--listen", self.addresses[number], "--node-id", f"n{number}"),
                *("--static", ",".join(self.addresses)),
                *("--http", f"tcp:{self.pages[number]}"),
                *("--bucket", "sessions:ttl=15m,max_entries=1000"),
                *more,
                name=f"node-{number}",
            )
            node.wait_for(r"Status page at")
            self.nodes.append(node)
        for node in self.nodes:
            node.wait_for_members(3)
            node.wait_for("Ready")

    def url(self, path: str = "/", number: int = 0) -> str:
        """An address of a page."""
        return f"http://127.0.0.1:{self.pages[number]}{path}"


def fetched(url: str, **headers: str) -> tuple[int, str]:
    """The status and text of an answer."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def state_of(node: str) -> str:
    """What reads a node's state in the page."""
    return f"document.querySelector('tr[data-node={node}] .state')?.textContent"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser, which ends with the test."""
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    opened = Browser(tmp_path / "profile")
    try:
        yield opened
    finally:
        opened.end()


def photographed(browser: Browser, name: str) -> None:
    """Take a picture, if anybody wants to look at it."""
    folder = os.environ.get("MYCORRIZAL_TEST_PICTURES")
    if folder:
        browser.screenshot(Path(folder) / f"{name}.png")


def test_a_death_is_seen(crew: Crew, browser: Browser) -> None:
    """The page shows within two seconds, by itself, that a node was killed."""
    pages = Pages(crew)
    browser.look(1280, 1000)
    browser.open(pages.url())
    browser.wait(LIVE)
    for node in ("n0", "n1", "n2"):
        browser.wait(f"{state_of(node)} === 'alive'")
    browser.wait("document.querySelectorAll('#picture line.up').length === 3")
    browser.wait(
        "/gets \\d.*, puts \\d/.test(document.querySelector('figcaption').textContent)"
    )
    browser.run("window.unloaded = false; 0")
    photographed(browser, "light")
    pages.nodes[2].kill()
    began_at = time.monotonic()
    browser.wait(f"['suspect', 'dead'].includes({state_of('n2')})", SHOWN_S)
    browser.wait("document.querySelector('#concerns .bad')?.textContent.includes('n2')")
    assert time.monotonic() - began_at < SHOWN_S
    assert browser.run("window.unloaded") is False
    browser.wait(f"{state_of('n2')} === 'dead'")
    browser.wait("document.querySelectorAll('#picture .dead').length === 1")
    assert "n2 is dead" in browser.run("document.getElementById('events').textContent")
    for name, width, dark in (
        ("dead-light", 1280, False),
        ("dead-dark", 1280, True),
        ("dead-phone", 390, False),
    ):
        browser.look(width, 900, dark=dark)
        browser.wait("document.querySelectorAll('.uplot').length === 7")
        # Nothing is wider than the window, charts included.
        browser.wait("document.documentElement.scrollWidth <= innerWidth")
        browser.wait(
            "document.getElementById('charts').dataset.width === String(innerWidth)"
        )
        photographed(browser, name)
    # Nothing was refused by the policy, and nothing failed.
    assert browser.complaints == []


def test_a_page_finds_back(crew: Crew, browser: Browser) -> None:
    """When its node dies the page says so, and goes on when that is back."""
    pages = Pages(crew)
    browser.open(pages.url(number=1))
    browser.wait(LIVE)
    pages.nodes[1].kill()
    browser.wait("document.getElementById('connection').className === 'lost'")
    again = crew.twist(
        *("--listen", pages.addresses[1], "--node-id", "n1"),
        *("--static", ",".join(pages.addresses)),
        *("--http", f"tcp:{pages.pages[1]}"),
    )
    again.wait_for_members(3)
    browser.wait(LIVE)


def test_names_and_keyboard(crew: Crew, browser: Browser) -> None:
    """All that is shown has a name, and the keyboard reaches what scrolls."""
    pages = Pages(crew)
    browser.open(pages.url())
    browser.wait(LIVE)
    browser.wait("document.querySelectorAll('#bucket-rows meter').length > 0")
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    names: dict[str, list[str]] = {}
    for node in tree:
        role = node.get("role", {}).get("value", "")
        names.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    for role in ("heading", "region", "table", "meter", "link"):
        assert names.get(role), (role, sorted(names))
    for role in ("heading", "region", "meter", "link"):
        assert all(names[role]), (role, names[role])
    assert any(
        "3 nodes" in name for role in ("image", "img") for name in names.get(role, [])
    )
    reached = []
    for _ in range(8):
        browser.press("Tab")
        reached.append(
            browser.run("document.activeElement.className || document.activeElement.id")
        )
    assert reached[0] == "skip"
    assert "scroll" in reached
    assert "events" in reached


def test_a_page_asks_for_its_token(crew: Crew, browser: Browser) -> None:
    """With a token file the browser gets in by the token, and only by it."""
    token = "a token that nobody guesses".replace(" ", "-")
    pages = Pages(crew, "--http-token-file", crew.secret_file("token", token))
    assert fetched(pages.url("/metrics"))[0] == 401
    assert fetched(pages.url("/livez")) == (200, "ok\n")
    assert fetched(pages.url("/metrics"), Authorization=f"Bearer {token}")[0] == 200
    browser.open(pages.url(f"/?token={token}"))
    browser.wait(LIVE)
    assert "token" not in browser.run("location.href")
    assert all(token not in node.log for node in pages.nodes)


def test_prometheus_scrapes_all(crew: Crew) -> None:
    """Debian's Prometheus finds each node up, and nothing to criticise."""
    if not PROMETHEUS.exists():
        pytest.skip("needs Debian's prometheus")
    pages = Pages(crew)
    checked = crew.run(
        ["sh", "-c", f"curl -sf {pages.url('/metrics')} | {PROMTOOL} check metrics"]
    )
    assert (checked.code, checked.out, checked.err) == (0, "", "")
    prometheus = Prometheus(crew, [f"127.0.0.1:{port}" for port in pages.pages])
    asked = prometheus.ask
    until(lambda: len(asked("up==1")) == 3, "Prometheus scrapes three nodes")
    until(
        lambda: (
            [each["value"][1] for each in asked("sum(mycorrizal_slots_primary)")]
            == ["1024"]
        ),
        "all slots have a primary",
    )
    alive = asked('mycorrizal_members{state="alive"}')
    assert [each["value"][1] for each in alive] == ["3", "3", "3"]
