"""
Authorities and certificates for tests, in files, as an operator has them.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme

from mycorrizal.nodosum import PkiSettings

NAME = "nodes.shop.example"
DAY = datetime.timedelta(days=1)


class Authority:
    """An authority that signs certificates, with its files in a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self.ca = trustme.CA(organization_name=f"The test authority {name}")
        self._directory = directory
        self._name = name
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / f"{name}.pem"
        self.ca.cert_pem.write_to_path(str(self.path))

    def files(
        self,
        *names: str,
        of: str = "node",
        days: tuple[int, int] = (-1, 30),
        hostname: str | None = None,
    ) -> PkiSettings:
        """
        Sign a certificate for names, and write it, with its key, to files.

        :param of: Whose; the same again replaces the files.
        :param days: From when to when it is valid, from today.
        """
        today = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        made = self.ca.issue_cert(
            *names,
            common_name=None if names else "a common name",
            not_before=today + days[0] * DAY,
            not_after=today + days[1] * DAY,
        )
        cert = self._directory / f"{self._name}-{of}.pem"
        key = self._directory / f"{self._name}-{of}.key"
        cert.write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key))
        return PkiSettings(str(self.path), str(cert), str(key), hostname)
