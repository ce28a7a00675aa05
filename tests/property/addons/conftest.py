"""The API in this process, and strict readers of its answers: those of the contract tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "contract" / "addons" / "api"))
