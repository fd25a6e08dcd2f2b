# -*- test-case-name: tests.nodosum.discovery.test_consul_token -*-
"""
The ACL token, from the settings or from a file that others may renew.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings, check_token

#: A longer file is something else.
TOKEN_FILE_BYTES_MAX = 8192


def read_token(settings: ConsulSettings, field: str = "consul") -> str | None:
    """
    Read the token, from its file each time, since agents of Vault and the like
    replace it.

    :return: The token; None when the settings have none.
    :raises ConfigError: The file can't be read, holds no token, or can be read
        by every user of the machine.
    """
    if settings.token_file is None:
        return settings.token
    field = f"{field}.token_file"
    path = Path(settings.token_file)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(TOKEN_FILE_BYTES_MAX + 1)
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigError(field, f"cannot read {path}: {problem}") from None
    if stat.S_ISREG(mode) and mode & stat.S_IRWXO:
        raise ConfigError(
            field, f"{path} can be read by every user; run `chmod o= {path}` first"
        )
    if len(data) > TOKEN_FILE_BYTES_MAX:
        raise ConfigError(
            field, f"{path} is longer than {TOKEN_FILE_BYTES_MAX} bytes; is it a token?"
        )
    return check_token(data.decode("latin-1").strip(), field, str(path))
