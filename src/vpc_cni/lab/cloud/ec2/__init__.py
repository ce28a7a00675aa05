"""The EC2 query API over the cloud's state."""
