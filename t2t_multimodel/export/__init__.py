"""Trained runs as SavedModels that take and give what users have: texts, files."""
