"""One module a command: its options, and which of the program's parts it brings together."""
