"""The data plane: the only package that speaks to the kernel.

``wire``, ``messages`` and ``decode`` are pure codecs over the values of ``objects``; ``route_socket`` sends them;
everything else is built on these. ``netns`` (setns) is for the lab and for tests: the agent never imports it.
"""
