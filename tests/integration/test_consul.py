"""
Nodes that find each other through Consul, as an operator runs them.

The agent is the stand-in of ``tests/fakes``, in a process of its own.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import pytest
import trustme

from tests.integration.processes import Crew, Running, free_ports, until

#: Short, so that nobody waits for a minute; the stand-in allows it.
TTL_S, DEREGISTER_AFTER_S = 2, 1


class Town:
    """An agent of Consul, and nodes that know nothing but its URL."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.agent = self.start_agent()
        self.nodes: dict[str, Running] = {}

    def start_agent(self) -> Running:
        """Start an agent whose catalogue is empty."""
        agent = self.crew.start(
            "consul",
            [
                *(sys.executable, "-m", "tests.fakes.consul", "--port", str(self.port)),
                *("--deregister-min-s", "1", "--reap-interval-s", "0.2"),
            ],
        )
        agent.wait_for("listens on")
        return agent

    def start(self, name: str) -> Running:
        """Start a node."""
        node = self.crew.twist(
            *("--listen", "127.0.0.1:0", "--node-id", name, "--consul", self.url),
            name=name,
            env={
                "MYCORRIZAL_CONSUL_TTL_S": str(TTL_S),
                "MYCORRIZAL_CONSUL_DEREGISTER_AFTER_S": str(DEREGISTER_AFTER_S),
            },
        )
        self.nodes[name] = node
        return node

    def ask(self, path: str) -> Any:
        """What the agent answers."""
        with urllib.request.urlopen(f"{self.url}/v1/{path}", timeout=5) as answer:
            return json.load(answer)

    def passing(self) -> list[str]:
        """The ids of the nodes whose checks pass."""
        entries = self.ask("health/service/mycorrizal?passing")
        return sorted(
            entry["Service"]["Meta"]["mycorrizal-node-id"] for entry in entries
        )

    def registered(self) -> list[str]:
        """The ids of the services that the agent has."""
        return sorted(self.ask("agent/services"))


def test_life_with_consul(crew: Crew) -> None:
    """
    Three nodes form a cluster; one dies and its entry goes; one leaves and its
    entry goes at once; the agent restarts with nothing, the rest register again
    and lose nobody (F46).
    """
    town = Town(crew)
    for name in ("one", "two", "three"):
        town.start(name)
    for node in town.nodes.values():
        node.wait_for_members(3)
        node.wait_for("Ready")
    until(lambda: town.passing() == ["one", "three", "two"], "all are listed")

    town.nodes.pop("two").kill()
    for node in town.nodes.values():
        node.wait_for_members(2)
    _, critical_s = until(lambda: "two" not in town.passing(), "its check expires")
    _, gone_s = until(
        lambda: town.registered() == ["mycorrizal-one", "mycorrizal-three"],
        "its entry is removed",
    )
    print(f"\nkill -9: critical after {critical_s:.2f} s, gone {gone_s:.2f} s later")

    since = {name: len(node.log) for name, node in town.nodes.items()}
    town.start("four").wait_for_members(3)
    for name, position in since.items():
        town.nodes[name].wait_for_members(3, position)
    leaving = town.nodes.pop("three")
    leaving.terminate()
    _, left_s = until(
        lambda: town.registered() == ["mycorrizal-four", "mycorrizal-one"],
        "its entry is removed",
    )
    leaving.wait_ended()
    assert "Deregistered from Consul" in leaving.log
    print(f"leave: deregistered after {left_s:.2f} s")

    since = {name: len(node.log) for name, node in town.nodes.items()}
    town.agent.terminate()
    town.agent.wait_ended()
    town.agent = town.start_agent()
    _, again_s = until(lambda: town.passing() == ["four", "one"], "they are listed")
    print(f"agent restarted: all registered again after {again_s:.2f} s")
    for name, node in town.nodes.items():
        said = node.log[since[name] :]
        assert "died" not in said and "left" not in said, said
    town.start("five").wait_for_members(3)
    for name, position in since.items():
        town.nodes[name].wait_for_members(3, position)


def test_token_and_mutual_tls(crew: Crew) -> None:
    """
    Two nodes use an agent that demands a certificate and a token, with what
    Consul's own variables say; the token is in no log.
    """
    authority, token = trustme.CA(), "7f3e1b2a-0000-4000-8000-abcdefabcdef"
    own = authority.issue_cert("127.0.0.1")
    node = authority.issue_cert("node.example")
    files = {
        "ca.pem": authority.cert_pem.bytes(),
        "agent.pem": own.private_key_and_cert_chain_pem.bytes(),
        "node.pem": node.private_key_and_cert_chain_pem.bytes(),
    }
    for name, data in files.items():
        (crew.home / name).write_bytes(data)
    port = free_ports(1)[0]
    agent = crew.start(
        "consul",
        [
            *(sys.executable, "-m", "tests.fakes.consul", "--port", str(port)),
            *("--tls", "agent.pem", "--clients-ca", "ca.pem", "--token", token),
        ],
    )
    agent.wait_for("listens on")
    env = {
        "CONSUL_HTTP_ADDR": f"127.0.0.1:{port}",
        "CONSUL_HTTP_SSL": "true",
        "CONSUL_HTTP_TOKEN_FILE": crew.secret_file("token", token),
        "CONSUL_CACERT": "ca.pem",
        "CONSUL_CLIENT_CERT": "node.pem",
        "CONSUL_CLIENT_KEY": "node.pem",
    }
    arguments = ("--listen", "127.0.0.1:0", "--consul-service", "mycorrizal")
    nodes = [crew.twist(*arguments, name=name, env=env) for name in ("one", "two")]
    for each in nodes:
        each.wait_for("Registered with Consul")
        each.wait_for_members(2)
    without = crew.twist(
        *arguments, name="without", env=env | {"CONSUL_HTTP_TOKEN_FILE": ""}
    )
    without.wait_for("a token in --consul-token-file needs the rule service")
    for each in (*nodes, without):
        each.terminate()
        each.wait_ended()
        assert token not in each.log
        assert "Traceback" not in each.log


def test_no_agent(crew: Crew) -> None:
    """Without an agent the node says so, tries on, and finds one that comes."""
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    node = crew.twist("--listen", "127.0.0.1:0", "--consul", url)
    node.wait_for(
        f"Discovery by Consul failed: no Consul agent can be used at {url}: "
        "connection refused; does it run there?"
    )
    crew.start(
        "consul", [sys.executable, "-m", "tests.fakes.consul", "--port", str(port)]
    )
    node.wait_for("Registered with Consul")
    node.wait_for("Ready")
    assert "Traceback" not in node.log


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--consul", "ftp://a"),
            (
                "--consul: 'ftp://a' is no URL of Consul; give the URL of an agent, "
                "as in http://127.0.0.1:8500"
            ),
        ),
        (
            ("--consul", "http://a:8500", "--consul-token-file", "no-such-file"),
            "consul.token_file: cannot read no-such-file: No such file or directory",
        ),
    ],
)
def test_wrong_settings(crew: Crew, arguments: list[str], sentence: str) -> None:
    """A wrong setting ends the program with code 64 and one sentence."""
    ended = crew.run_twist("--listen", "127.0.0.1:0", *arguments)
    assert ended.code == 64
    assert ended.err == f"mycorrizal: {sentence}\n"
