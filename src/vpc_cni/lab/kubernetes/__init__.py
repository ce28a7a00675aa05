"""A real Kubernetes in the lab: its programs, its control plane on an instance, its nodes around the lab's nodes."""
