"""What can be known to go wrong before EKS is asked: judged in pure modules, from what was read.

``finding`` has the values, ``versions``, ``roles``, ``policies`` and ``cluster`` the judgements.
"""
