"""What `import fcnbench` offers: one function per command, with the command's name and options."""
