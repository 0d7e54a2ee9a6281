"""Shows how the operator itself is doing, by logs, metrics and health routes."""
