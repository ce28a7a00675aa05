"""Roles, keys, signatures and web identity."""
