"""What several tables and figures share: stored results as tables, statistics, style, wording."""
