"""How the operator itself is seen: logs, metrics, and whether it lives."""
