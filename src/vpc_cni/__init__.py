"""VPC-native pod networking for Kubernetes on AWS."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vpc-cni")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0+uninstalled"
