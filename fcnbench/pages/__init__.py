"""Pages to look at: self-contained HTML, made from records and boards with Jinja2 templates. No network, no torch."""
