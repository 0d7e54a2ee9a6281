"""Everything that talks to the Kubernetes API server: watching, writing status, recording Events."""
