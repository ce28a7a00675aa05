"""Instance metadata over the cloud's state."""
