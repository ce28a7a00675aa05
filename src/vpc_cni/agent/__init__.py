"""The node agent: owns the pool, EC2 calls, every netlink and nftables change, checkpoint, metrics, introspection.

Starts as ``python -m vpc_cni.agent``. Imports no command line, web framework, boto3 or Kubernetes client: its memory
is a promise (a test looks at ``sys.modules``).
"""
