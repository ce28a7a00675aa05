"""Lets tests of the image import their neighbours, and what drives nodes in the fault tests."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[2] / "fault" / "live"):
    sys.path.insert(0, str(folder))
