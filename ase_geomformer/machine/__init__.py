"""The machine: devices, memory, files and the version of this package."""
