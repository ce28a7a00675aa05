"""Entry point: environment in, exit status out."""

import asyncio
import gc
import logging
import os
import sys
from typing import NoReturn

from vpc_cni.agent.app import run_agent
from vpc_cni.agent.logs import configure_logging
from vpc_cni.errors import ConfigurationError, VpcCniError
from vpc_cni.settings import load_agent_settings

_COLLECT_AFTER_OBJECTS = 20_000


def main() -> int:
    """Run the agent until SIGTERM; return 0, or 1 after an error that was printed."""
    if len(sys.argv) > 1:
        print("usage: python -m vpc_cni.agent (settings come from the environment: docs/settings.md)", file=sys.stderr)  # noqa: T201 - before logging exists
        return 2
    try:
        settings = load_agent_settings(os.environ)
    except ConfigurationError as err:
        print(f"vpc-cni agent: {err}", file=sys.stderr)  # noqa: T201 - before logging exists
        return 1
    configure_logging(settings.host.log_level, settings.host.log_target)
    # What start-up made lives for ever: the collector need not look at it again after each ADD.
    gc.freeze()
    # A pod leaves a few dozen objects and no cycles; at the usual threshold each 25th ADD would look for some.
    gc.set_threshold(_COLLECT_AFTER_OBJECTS)
    try:
        return asyncio.run(run_agent(settings, os.environ))
    except VpcCniError as err:
        logging.getLogger(__name__).critical("the agent ends: %s", err)
        print(f"vpc-cni agent: {err}", file=sys.stderr)  # noqa: T201 - the last word, for whoever reads the pod's log
        return 1


def _leave(status: int) -> NoReturn:
    """End the process now. A thread that waits for EC2 would hold a normal exit up until EC2 answers.

    Nothing is lost with it: the journal knows the step that it is at.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _leave(main())
