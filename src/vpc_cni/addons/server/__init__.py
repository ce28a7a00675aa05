"""The service as a process: API, workers, a local face for probes and metrics, put together and run.

asyncio.run(serve(options, report=print))
"""

from vpc_cni.addons.server.options import ServeOptions
from vpc_cni.addons.server.serve import serve

__all__ = ["ServeOptions", "serve"]
