"""The folder of a run: opened, resumed, written, and shown to the user."""
