"""The revisions, named GENERATION_NUMBER; once released, they never change."""
