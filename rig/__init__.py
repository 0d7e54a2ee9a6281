"""The real parts that tests, demo and bench start: an API server, model servers, what stands between. Loopback only; no pytest here."""
