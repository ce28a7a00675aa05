"""Nodes of the lab: their folders and settings, the agent process, and the pods that run on them."""
