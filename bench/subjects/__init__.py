"""What is measured, each in a process of its own: ours, and others' as their users would write it."""
