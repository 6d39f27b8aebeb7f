"""Text that is safe to show and to store: without secrets, and without characters that cannot be printed or kept."""
