"""Who this process is: the same name after a restart, so that it takes up its own work at once."""

import fcntl
import os
import uuid
from pathlib import Path

from vpc_cni.errors import HostError


class Instance:
    """Holds a state folder's name while this process lives; a second process there gets a name of its own.

    Attributes:
        name: in the leases of the store.
    """

    def __init__(self, folder: Path) -> None:
        """Take the name.

        Raises:
            HostError: the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(folder / "instance", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as err:
            raise HostError(
                f"state folder {folder} cannot be written: {err.strerror}", hint="choose another --state-folder"
            ) from err
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.name = uuid.uuid4().hex
            return
        self.name = os.read(self._descriptor, 64).decode("ascii", "replace").strip() or self._write()

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self) -> str:
        name = uuid.uuid4().hex
        os.write(self._descriptor, name.encode("ascii"))
        return name
