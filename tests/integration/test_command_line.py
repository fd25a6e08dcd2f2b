"""
``twist mycorrizal`` as its users meet it: exit codes, sentences, signals, log.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mycorrizal import __version__
from tests.integration.processes import Crew, Ended, free_ports

EXIT_USAGE = 64
EXIT_FAILED = 1

#: (arguments, what the sentence must contain)
WRONG = [
    (["--listen", "banana:x"], r"--listen: 'banana:x' .* as in 10\.0\.0\.1:6969"),
    (["--listen", "127.0.0.1:70000"], r"--listen: port 70000 is out of range"),
    (["--advertise", "0.0.0.0:7001"], r"--advertise: nobody can reach 0\.0\.0\.0"),
    (["--static", "10.0.0.1:a"], r"--static: '10\.0\.0\.1:a' .* as in"),
    (["--node-id", "a b"], r"--node-id: 'a b' is no node id; use "),
    (["--cluster-name", ""], r"--cluster-name: "),
    (["--tls", "maybe"], r"--tls: give one of auto, pki, off, not 'maybe'"),
    (["--hello", "icmp"], r"--hello: give one of udp, tcp, not 'icmp'"),
    (["--bucket", "s:ttl=5x"], r"--bucket\[0\]\.ttl: '5x' .* as in 15m"),
    (["--bucket", "s:colour=5"], r"--bucket\[0\]: 'colour=5' .*NAME:ttl=15m"),
    (["--bucket", "s:replicas=9"], r"--bucket\[0\]\.replicas: must be 0 to 7"),
    (["--label", "zone"], r"label.* zone=a"),
    (["--config", "nowhere.toml"], r"config: cannot read nowhere\.toml"),
    (["--secret-file", "nowhere"], r"secret_files: cannot read what is named"),
    (["--wrong"], r"option --wrong not recognized; see `twist mycorrizal --help`"),
    (["--listen"], r"option --listen requires argument; see"),
    (["stray"], r"unexpected argument 'stray'; see --help"),
]


def check_one_sentence(ended: Ended, code: int, pattern: str) -> None:
    """It ended with this code and one line on stderr, and nothing else."""
    assert ended.code == code, ended
    assert re.fullmatch(rf"mycorrizal: .*{pattern}.*\n", ended.err), ended
    assert ended.out == "", ended


@pytest.mark.parametrize(
    ("arguments", "sentence"), WRONG, ids=[" ".join(case[0]) for case in WRONG]
)
def test_wrong_option(crew: Crew, arguments: list[str], sentence: str) -> None:
    """A wrong option is one sentence with a good example, and exit code 64."""
    check_one_sentence(crew.run_twist(*arguments), EXIT_USAGE, sentence)
    assert not crew.state_dir.exists(), "nothing is made for a wrong command"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"MYCORRIZAL_LISTN": "x"}, "MYCORRIZAL_LISTN: .* did you mean listen"),
        ({"MYCORRIZAL_TLS": "maybe"}, "tls: give one of auto, pki, off"),
        ({"MYCORRIZAL_SECRET": "short"}, "at least 16 bytes"),
    ],
    ids=lambda it: next(iter(it)) if isinstance(it, dict) else "",
)
def test_wrong_environment(
    crew: Crew, environment: dict[str, str], sentence: str
) -> None:
    """A wrong variable of the environment is refused like a wrong option."""
    ended = crew.run_twist("--listen", "127.0.0.1:0", env=environment)
    check_one_sentence(ended, EXIT_USAGE, sentence)


def test_wrong_file(crew: Crew) -> None:
    """A wrong setting in a file is named by its path in the file."""
    path = crew.home / "node.toml"
    path.write_text('[[buckets]]\nname = "s"\nttl = "5x"\n')
    ended = crew.run_twist("--config", str(path))
    check_one_sentence(ended, EXIT_USAGE, r"buckets\[0\]\.ttl: '5x'")


def test_version(crew: Crew) -> None:
    """``--version`` names our version, not Twisted's."""
    assert crew.run_twist("--version") == Ended(0, f"mycorrizal {__version__}\n", "")


def test_secret_that_others_can_read(crew: Crew) -> None:
    """A secret that others can read is refused, with the command that helps."""
    path = crew.secret_file("secret", "correct horse battery staple", mode=0o644)
    ended = crew.run_twist("--secret-file", path)
    check_one_sentence(ended, EXIT_USAGE, f"run `chmod 600 {re.escape(path)}` first")


def test_secret_that_is_empty(crew: Crew) -> None:
    """An empty secret is refused."""
    ended = crew.run_twist("--secret-file", crew.secret_file("secret", ""))
    check_one_sentence(ended, EXIT_USAGE, "is empty; .*pulse secret new")


# -- ports and state --------------------------------------------------------------


@contextmanager
def taken(kind: socket.SocketKind) -> Iterator[str]:
    """An address that somebody else has."""
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_busy_port(crew: Crew, kind: socket.SocketKind) -> None:
    """A port that is taken, for TCP or for UDP only, is one sentence."""
    with taken(kind) as address:
        ended = crew.run_twist("--listen", address)
    which = "" if kind is socket.SOCK_STREAM else "UDP: "
    sentence = f"cannot listen on {address}: {which}address already in use; .*--listen"
    check_one_sentence(ended, EXIT_FAILED, sentence)


def test_busy_port_of_a_name(crew: Crew) -> None:
    """The same when the address is a name, which is looked up first."""
    with taken(socket.SOCK_STREAM) as address:
        named = address.replace("127.0.0.1", "localhost")
        ended = crew.run_twist("--listen", named)
    assert ended.code == EXIT_FAILED, ended
    assert re.search(rf"cannot listen on {address}: address already in use", ended.out)
    assert "Traceback" not in ended.out + ended.err


def test_state_in_use(crew: Crew) -> None:
    """Two nodes can't share a place in the state directory (F54)."""
    (port,) = free_ports(1)
    crew.twist("--listen", f"127.0.0.1:{port}").wait_for("Ready")
    ended = crew.run_twist("--listen", f"127.0.0.2:{port}")
    check_one_sentence(ended, EXIT_FAILED, "another node runs with the state in ")


@pytest.mark.parametrize("place", ["/proc/nowhere", "a-file"])
def test_state_that_cannot_be_written(crew: Crew, place: str) -> None:
    """A state directory that can't be made is one sentence."""
    (crew.home / "a-file").touch()
    ended = crew.run_twist("--listen", "127.0.0.1:0", "--state-dir", place)
    check_one_sentence(ended, EXIT_FAILED, "cannot write state in .*--state-dir")


def test_state_that_is_damaged(crew: Crew) -> None:
    """A damaged state file is named, and left as it is."""
    place = crew.state_dir / "mycorrizal" / "7001"
    place.mkdir(parents=True)
    (place / "node.json").write_text("{")
    ended = crew.run_twist("--listen", "127.0.0.1:7001")
    check_one_sentence(ended, EXIT_FAILED, r"node\.json is damaged; remove it")
    assert (place / "node.json").read_text() == "{"


# -- refused by the cluster -------------------------------------------------------


def test_duplicate_node_id(crew: Crew) -> None:
    """A second node of one id ends, and names both addresses; the first stays (F13)."""
    first = crew.twist("--listen", "127.0.0.1:0", "--node-id", "twin")
    second = crew.run_twist(
        *("--listen", "127.0.0.1:0", "--node-id", "twin", "--static", first.address)
    )
    assert second.code == EXIT_FAILED, second
    own = re.search(r"listens on (\S+),", second.out)
    assert own, second
    assert re.search(
        rf"'twin' is used twice: .*{own[1]} .*{first.address}; give .*--node-id",
        second.out,
    ), second
    assert "Traceback" not in second.out + second.err
    assert first.process.poll() is None


@pytest.mark.parametrize(
    "other",
    [
        ["--secret-file", "secret"],
        ["--secret-file", "secret", "--cluster-name", "other"],
        ["--secret-file", "secret", "--tls", "off"],
    ],
    ids=["secret", "cluster name", "tls"],
)
def test_refused_by_the_cluster(crew: Crew, other: list[str]) -> None:
    """A node that all refuse ends, and its last words say what must be the same."""
    crew.secret_file("cluster", "correct horse battery staple")
    crew.secret_file("secret", "correct horse battery staple")
    if len(other) == 2:
        crew.secret_file("secret", "another passphrase altogether")
    member = crew.twist("--listen", "127.0.0.1:0", "--secret-file", "cluster")
    ended = crew.run_twist(
        *("--listen", "127.0.0.1:0", "--static", member.address, *other)
    )
    assert ended.code == EXIT_FAILED, ended
    assert re.search(
        rf"{member.address} refused us: .*--secret-file, --cluster-name and --tls",
        ended.out,
    ), ended
    assert "Traceback" not in ended.out + ended.err
    assert len(re.findall("refused", member.log, re.IGNORECASE)) == 1
    assert "joined" not in member.log


# -- signals ----------------------------------------------------------------------


def test_terminate(crew: Crew) -> None:
    """SIGTERM: the node leaves, the others see it at once, the process ends."""
    stays = crew.twist("--listen", "127.0.0.1:0", name="stays")
    leaves = crew.twist("--listen", "127.0.0.1:0", "--static", stays.address)
    stays.wait_for_members(2)
    leaves.wait_for("Ready")
    began_at = time.monotonic()
    leaves.terminate()
    stays.wait_for(f"{leaves.node_id} left")
    seen_s = time.monotonic() - began_at
    code = leaves.wait_ended(5.0)
    ended_s = time.monotonic() - began_at
    print(f"\nseen to leave after {seen_s:.3f} s, ended after {ended_s:.3f} s")
    assert code == -signal.SIGTERM
    assert "Leaving the cluster" in leaves.log
    assert "Traceback" not in leaves.log
    stays.wait_for_members(1, since=stays.log.index(" left"))
    assert " died" not in stays.log


def test_second_signal(crew: Crew) -> None:
    """
    A second SIGTERM ends the process at once, though a peer keeps it waiting (F54).
    """
    stays = crew.twist("--listen", "127.0.0.1:0", "--bucket", "s", name="stays")
    leaves = crew.twist("--listen", "127.0.0.1:0", "--static", stays.address)
    leaves.wait_for("Ready")
    leaves.wait_for_members(2)
    # The node that stays can't take over anything, nor close its connection.
    stays.process.send_signal(signal.SIGSTOP)
    leaves.terminate()
    leaves.wait_for("Leaving the cluster")
    began_at = time.monotonic()
    assert leaves.process.poll() is None
    leaves.terminate()
    assert leaves.wait_ended(2.0) == -signal.SIGTERM
    print(f"\nended {time.monotonic() - began_at:.3f} s after the second signal")
    assert "Traceback" not in leaves.log


# -- the log ----------------------------------------------------------------------


def test_log(crew: Crew) -> None:
    """The log is text; its first lines name id, address, cluster and secret."""
    node = crew.twist("--listen", "127.0.0.1:0", "--node-id", "n1")
    node.wait_for("Ready")
    port = int(node.address.rpartition(":")[2])
    lines = [line for line in node.log.splitlines() if "tap.NodeService" in line]
    first, second, third = lines[:3]
    assert f"Node n1 of cluster mycorrizal listens on 127.0.0.1:{port}" in first
    assert re.search(r"Secret [0-9a-f]{8}, TLS auto$", second)
    assert third.endswith(f"need a copy of {crew.state_dir}/mycorrizal/secret")
    assert crew.secret.removeprefix("myk1:") not in node.log
    node.wait_for(rf"Members \[1\]: n1 127\.0\.0\.1:{port} this$")


def test_log_as_json(crew: Crew) -> None:
    """Who asks for JSON gets an object on each line, and nothing else."""
    node = crew.twist("--listen", "127.0.0.1:0", twist=["--log-format", "json"])
    node.wait_for("Ready")
    node.terminate()
    node.wait_ended()
    events = [json.loads(line) for line in node.log.splitlines()]
    for event in events:
        assert event.keys() == {"time", "level", "namespace", "text", "fields"}
    (first,) = [event for event in events if "cluster" in event["fields"]]
    assert first["fields"]["cluster"] == "mycorrizal"
    assert first["namespace"] == "mycorrizal.tap.NodeService"
    assert (events[-1]["level"], events[-1]["text"]) == (
        "info",
        "Main loop terminated.",
    )


def test_log_file(crew: Crew) -> None:
    """Our text goes to the file that ``twist`` was told to write."""
    path = crew.home / "node.log"
    node = crew.twist("--listen", "127.0.0.1:0", twist=["--log-file", str(path)])
    node.log_path = path
    node.wait_for(r"#info\] Ready$")
