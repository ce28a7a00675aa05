"""The benchmark: our plugin and a peer, interleaved in one run, every call timed as a whole process.

``python -m bench`` (or ``make bench``) measures, prints a table, and writes ``build/bench.json``,
``docs/benchmarks.md`` and ``docs/benchmarks.svg``.

    command     options in, table out
    plan        which rounds belong to which figure, and how many of them
    rounds      one stage each: A B A B over the contenders, samples out
    figures     samples -> named figures with ratio and bar; pure
    contender   one side of the comparison: a process that stands in the node's network namespace
    spawn       starts plugins and times them
    peer, node  what the two sides are: Debian's ptp, and our plugin in a node of the lab
"""
