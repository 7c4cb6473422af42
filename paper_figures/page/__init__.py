"""The pages that show everything: HTML and Markdown, what is missing, where results come from."""
