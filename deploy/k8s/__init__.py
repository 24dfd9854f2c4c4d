"""Kubernetes manifests, and what makes them."""
