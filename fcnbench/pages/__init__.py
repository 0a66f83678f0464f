"""Self-contained HTML pages, made from records and boards with Jinja2 templates. No network, no torch."""
