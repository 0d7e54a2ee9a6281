"""Talks to the Kubernetes API server: watches objects, writes status, records Events."""
