"""The command `esker`: what the public functions do, on the user's own files."""
