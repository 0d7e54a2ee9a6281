"""What is said goes out here: conditions on the InferenceService, and Events about it."""
