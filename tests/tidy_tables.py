"""
What the laws of the source tree allow and forbid, by name.

A new module, requirement or name that Twisted calls is entered here.
"""

from __future__ import annotations

#: The longest prefix of a module's name gives its level; imports never go up.
LEVELS = {
    "mycorrizal.runtime": 0,
    "mycorrizal.backoff": 0,
    "mycorrizal.errors": 0,
    "mycorrizal.clock": 0,
    "mycorrizal.histogram": 0,
    "mycorrizal.recorder": 0,
    "mycorrizal.restarts": 0,
    "mycorrizal.watchdog": 0,
    "mycorrizal.nodosum": 1,
    "mycorrizal.mycel": 2,
    "mycorrizal.cytoplasm": 2,
    "mycorrizal.hypha": 2,
    "mycorrizal": 3,
    "mycorrizal.testing": 4,
}
#: Houses of level 2: none imports another, and all enter Nodosum by its front.
HOUSES = ("mycorrizal.mycel", "mycorrizal.cytoplasm", "mycorrizal.hypha")

#: Modules that may import anything (paths below src/mycorrizal).
SHELLS = (
    "__init__.py",
    "forking.py",
    "keys.py",
    "log_lines.py",
    "reloading.py",
    "runtime.py",
    "secret_file.py",
    "service.py",
    "state.py",
    "tap.py",
    "tracing.py",
    "watchdog.py",
    "nodosum/__init__.py",
    "nodosum/service.py",
    "nodosum/mesh.py",
    "nodosum/admission.py",
    "nodosum/dialling.py",
    "nodosum/renewals.py",
    "nodosum/endpoints.py",
    "nodosum/ports.py",
    "nodosum/protocol.py",
    "nodosum/pem.py",
    "nodosum/pki.py",
    "nodosum/tls.py",
    "nodosum/discovery/*",
    "nodosum/coordination/consul.py",
    "nodosum/coordination/etcd.py",
    "mycel/__init__.py",
    "mycel/service.py",
    "pulse/*",
    "testing/*",
)
#: Modules that may have the Runtime, and of Twisted only API_IMPORTS.
APIS = (
    "nodosum/applications.py",
    "nodosum/calls.py",
    "nodosum/clients.py",
    "nodosum/control.py",
    "nodosum/flow.py",
    "nodosum/lanes.py",
    "nodosum/link.py",
    "nodosum/mux.py",
    "nodosum/readiness.py",
    "nodosum/rounds.py",
    "nodosum/sending.py",
    "mycel/api/*",
    "mycel/cache.py",
    "mycel/cached.py",
    "mycel/near/wiring.py",
    "mycel/operations/*",
    "mycel/moves.py",
    "mycel/standing.py",
    "mycel/slots/fetching.py",
    "mycel/slots/leveling.py",
    "mycel/slots/repair.py",
    "mycel/slots/dropping.py",
)
#: Deferreds, and what it takes to log the failure of a user's function.
API_IMPORTS = ("twisted.internet.defer", "twisted.logger", "twisted.python.failure")
#: All others are pure: the standard library, these, and pure modules of ours.
PURE_PACKAGES = {"attrs", "automat", "msgspec", "xxhash", "zstandard", "zope"}

#: What reads the world, and the modules that may.
SEAM = "mycorrizal/runtime.py"
WORLD = {
    "_thread", "os.urandom", "random", "secrets", "socket", "threading", "time",
    "uuid",
}  # fmt: skip
DANGEROUS = {"dill", "marshal", "pickle", "shelve"}
REACTOR = "twisted.internet.reactor"
REACTOR_INSIDE_FUNCTIONS_OF = ("mycorrizal/tap.py", "mycorrizal/pulse/*")

#: An import that is not of the standard library, and what declares it.
REQUIREMENTS = {
    "OpenSSL": "pyopenssl",
    "attrs": "attrs",
    "automat": "automat",
    "click": "click",
    "cryptography": "cryptography",
    "msgspec": "msgspec",
    "opentelemetry": "opentelemetry-api",
    "prometheus_client": "prometheus-client",
    "pytest": "pytest",
    "rich": "rich",
    "service_identity": "service-identity",
    "treq": "treq",
    "twisted": "twisted[tls]",
    "xxhash": "xxhash",
    "zope": "zope.interface",
    "zstandard": "zstandard",
}

BANNED_WORDS = {
    "engine": "say what runs, or 'core' for a pure state machine",
    "handler": "say what it does, or 'subscriber', 'receive_func', 'on_…'",
    "helper": "put it beside its one user, or name what it makes",
    "manager": "say what it keeps: 'table', 'mesh', 'ring', 'store'",
    "processor": "say what it does to what: 'decoder', 'writer', 'sender'",
    "util": "name the file after what is inside",
}

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

#: Names that Twisted calls, or that a Twisted interface makes us provide.
TWISTED_NAMES = frozenset(
    """
    abortConnection addReader addressResolved addSystemEventTrigger addWriter
    adoptDatagramPort adoptStreamConnection adoptStreamPort allowReuse
    buildProtocol callFromThread callInThread callLater callWhenRunning
    cancelCallLater childDataReceived clientConnectionForTLS connectionLost
    connectionMade connectionRefused connectTCP datagramReceived dataReceived
    disownServiceParent doRead doStart doStop doWrite endpointForURI
    errConnectionLost
    errReceived fireSystemEvent getBroadcastAllowed getChild getContext gotLength
    getDelayedCalls getDestination getHost getPeer getPeerCertificate getReaders
    getSynopsis getTcpKeepAlive getTcpNoDelay getTime getUsage getWriters
    handleContentChunk
    handshakeCompleted inConnectionLost installNameResolver isLeaf joinGroup
    leaveGroup lineReceived listenTCP listenUDP logPrefix loseConnection
    loseWriteConnection makeConnection makeService messageReceived nameResolver
    opt_version outConnectionLost outReceived parseArgs parseOptions
    pauseProducing pickID postOptions
    privilegedStartService processEnded processExited readConnectionLost
    registerProducer removeAll removeReader removeSystemEventTrigger
    removeWriter render_GET render_POST resolutionBegan resolutionComplete
    resolveHostName resumeProducing serverConnectionForTLS setBroadcastAllowed
    setServiceParent setTcpKeepAlive setTcpNoDelay setTTL startFactory
    startListening startProducing startProtocol startReading startService startTLS
    stopConnecting stopConsuming stopFactory stopListening stopProducing
    stopProtocol stopReading stopService stringReceived unregisterProducer
    writeConnectionLost writeMessage writeSequence
    """.split()
)
