"""Files of text: JSON, JSON Lines, CSV, TSV and PostgreSQL's COPY."""
