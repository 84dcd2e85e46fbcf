"""Small pieces of mathematics shared by the architectures."""
