"""XNNPACK graphs inside a .pte: what they hold, and what they compute by definition."""
