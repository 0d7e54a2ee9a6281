"""Real parts for tests and the demo: an API server, model servers, and helpers to talk to them. Loopback only; no pytest here."""
