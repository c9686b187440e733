"""The commands: parse, call, write, exit code. Nothing heavy is imported before parsing is done."""
