"""The security token service over the cloud's state."""
