"""Probes a fleet over HTTP: schedules the rounds, sends the requests, and reads the answers."""
