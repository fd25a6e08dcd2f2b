"""
What each path gives, to whom.
"""

from __future__ import annotations

import json

from tests.pulse.web.worlds import WebTestCase


class PathTests(WebTestCase):
    """A node of which one asks for paths."""

    size = 1

    def test_page(self) -> None:
        """The page and all that it needs come from the node, nothing from elsewhere."""
        page = self.get("/")
        self.assertIn("200 OK", page)
        self.assertIn("text/html", page)
        self.assertNotIn("http://", page.partition("<html")[2])
        for path in ("page.js", "page.css", "picture.js", "uplot.js", "uplot.css"):
            self.assertIn(f'"{path}"', page)
            self.assertIn("200 OK", self.get(f"/{path}"), path)
        self.assertIn("image/svg+xml", self.get("/icon.svg"))

    def test_headers(self) -> None:
        """Each answer forbids scripts from elsewhere, frames and caches."""
        for path in ("/", "/metrics", "/livez", "/nothing"):
            answer = self.get(path)
            self.assertIn("default-src 'none'; script-src 'self';", answer, path)
            self.assertNotIn("unsafe", answer.partition("\r\n\r\n")[0])
            self.assertIn("frame-ancestors 'none'", answer)
            self.assertIn("Cache-Control: no-store", answer)

    def test_nothing(self) -> None:
        """There is nothing else, and no way out of the folder."""
        for path in ("/nothing", "/../gate.py", "/static/page.js", "/%2e%2e/x"):
            self.assertIn("404 Not Found", self.get(path), path)

    def test_other_names(self) -> None:
        """Who calls it by a foreign name is refused, but for health."""
        self.assertIn("421 Misdirected Request", self.get("/", "evil.example"))
        self.assertIn("421 ", self.get("/metrics", "evil.example:6971"))
        self.assertIn("200 OK", self.get("/livez", "evil.example"))
        self.assertIn("200 OK", self.get("/", "localhost:6971"))
        self.assertIn("200 OK", self.get("/", "[::1]:6971"))

    def test_probes(self) -> None:
        """Probes say ok, and each check if they are asked to."""
        for path in ("livez", "readyz", "healthz"):
            self.assertTrue(self.get(f"/{path}").endswith("\r\n\r\nok\n"), path)
        self.assertIn("[+]ready ok\n", self.get("/readyz?verbose"))

    def test_metrics(self) -> None:
        """Metrics come as Prometheus reads them."""
        answer = self.get("/metrics")
        self.assertIn("text/plain; version=0.0.4", answer)
        self.assertIn("\nmycorrizal_slots_primary 1024.0\n", answer)

    def test_status(self) -> None:
        """The same figures come as JSON."""
        body = self.get("/status.json").partition("\r\n\r\n")[2]
        self.assertEqual(json.loads(body)["me"], "n0")


class TokenTests(WebTestCase):
    """A node that asks for a token."""

    size = 1

    def setUp(self) -> None:
        token_file = self.mktemp()
        with open(token_file, "w") as file:
            file.write("0123456789abcdef\n")
        import os

        os.chmod(token_file, 0o600)
        self.settings = {"http_token_file": token_file}
        super().setUp()

    def test_without(self) -> None:
        """Without it there is health, and nothing else."""
        for path in ("/", "/metrics", "/events", "/status.json", "/page.js"):
            answer = self.get(path)
            self.assertIn("401 Unauthorized", answer, path)
            self.assertIn("WWW-Authenticate: Bearer", answer)
        self.assertIn("200 OK", self.get("/readyz"))

    def test_with(self) -> None:
        """With it in the header one gets everything; with a wrong one nothing."""
        good, bad = "Bearer 0123456789abcdef", "Bearer 0123456789abcdeg"
        self.assertIn("200 OK", self.get("/metrics", Authorization=good))
        self.assertIn("401 ", self.get("/metrics", Authorization=bad))

    def test_browser(self) -> None:
        """A browser gives it once in the address, and has a cookie then."""
        answer = self.get("/?token=0123456789abcdef")
        self.assertIn("303 See Other", answer)
        self.assertIn("HttpOnly", answer)
        self.assertIn("samesite=strict", answer.lower())
        cookie = "mycorrizal_token=0123456789abcdef"
        self.assertIn("200 OK", self.get("/", Cookie=cookie))
        self.assertIn("401 ", self.get("/?token=wrong"))
