"""What are the roles told? One Markdown file for each, and `rules.md` for all."""
