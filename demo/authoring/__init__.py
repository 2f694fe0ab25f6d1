"""How the demo's PDF and Office files were written; needs the development tools, runs only when they change."""
