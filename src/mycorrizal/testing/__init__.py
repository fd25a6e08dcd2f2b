# -*- test-case-name: tests.testing -*-
"""
A deterministic world for tests: hosts, clocks, a network, and one seed.

Twisted code runs in it unmodified, as long as it is given its reactor. A whole
cluster lives in one `SynchronousTestCase`, hours pass in seconds, and whatever
goes wrong goes wrong again with the same seed::

    world = World(seed=7)
    server, client = world.host("server"), world.host("client")
    server.reactor.listenTCP(7, Factory.forProtocol(Echo))
    endpoint = HostnameEndpoint(client.reactor, "server", 7)
    echo = world.result_of(endpoint.connect(Factory.forProtocol(Client)))
    world.partition([server], [client])
    world.advance(3600)

What can go wrong: `World` (latency, loss, bandwidth, partitions, names) and
`Host` (clocks that jump or drift, pauses, crashes, restarts).
"""

from mycorrizal.testing.cluster import SimCluster, seeds
from mycorrizal.testing.host import Farewell, Host, HostState
from mycorrizal.testing.mixin import SimClusterMixin
from mycorrizal.testing.name_server import SimNameServer
from mycorrizal.testing.names import Names
from mycorrizal.testing.network import Segmentation
from mycorrizal.testing.reactor import SimReactor
from mycorrizal.testing.tcp import SimConnection
from mycorrizal.testing.timeline import StepLimitExceeded
from mycorrizal.testing.tls import SimTls
from mycorrizal.testing.world import World

__all__ = [
    # cluster.py: complete nodes
    "SimCluster",
    "seeds",
    # mixin.py: for trial (for pytest there is mycorrizal.testing.fixtures)
    "SimClusterMixin",
    # world.py, network.py, names.py, timeline.py: everything, and between hosts
    "World",
    "Segmentation",
    "Names",
    "StepLimitExceeded",
    # name_server.py: a DNS server on a host
    "SimNameServer",
    # host.py: one machine and its process
    "Host",
    "HostState",
    "Farewell",
    # reactor.py, tcp.py: what the process is given
    "SimReactor",
    "SimConnection",
    # tls.py: encryption without OpenSSL
    "SimTls",
]
