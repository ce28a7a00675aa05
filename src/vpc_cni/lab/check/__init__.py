"""`lab check`: what must work (pure rows), packets that prove it, and the verdict."""
