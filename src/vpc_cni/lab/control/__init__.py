"""The lab's control interface: one JSON line in, some JSON lines out, over a unix socket of the owner."""
