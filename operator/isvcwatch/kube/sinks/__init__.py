"""Writes verdicts to the cluster: conditions on the InferenceService, and Events about it."""
