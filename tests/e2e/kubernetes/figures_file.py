"""build/e2e.json: what the tests with a cluster have measured, written as soon as it is known."""

import fcntl
import json
from pathlib import Path

FIGURES = Path(__file__).parents[3] / "build" / "e2e.json"


class Figures:
    """Notes figures, in seconds or counts, by name: ``figures["lab_ready_seconds"] = 12.3``.

    Each is in the file at once, so that those of a run that fails or is killed are there too. Figures of tests that do
    not run this time stay. Several processes may write.
    """

    def __init__(self, path: Path = FIGURES) -> None:
        self._path = path
        path.parent.mkdir(exist_ok=True)

    def __setitem__(self, name: str, value: float) -> None:
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            noted = json.loads(file.read() or "{}")
            noted[name] = round(value, 2)
            file.truncate(0)
            file.write(json.dumps(noted, indent=1, sort_keys=True) + "\n")
