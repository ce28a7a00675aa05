"""Times of a CNI plugin as a container runtime runs it: a small C program takes the plugin's name and times it.

A program of its own, not a mode of our plugin: any plugin is then timed by the very same instructions, and what we
ship has nothing in it that only a measurement needs.
"""

from bench.stopwatch.insertion import Stopwatch, build_stopwatch
from bench.stopwatch.stamps import Stamp, first_calls, parse_stamps

__all__ = ["Stamp", "Stopwatch", "build_stopwatch", "first_calls", "parse_stamps"]
