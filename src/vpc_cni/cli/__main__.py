"""``python -m vpc_cni.cli`` is ``vpc-cni``."""

from vpc_cni.cli import main

main()
