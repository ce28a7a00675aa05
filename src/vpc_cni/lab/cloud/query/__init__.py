"""What query APIs have in common: parameters, XML, identity, budgets, faults."""
