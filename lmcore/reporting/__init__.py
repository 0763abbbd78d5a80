"""What people read about a version: report page, model card, charts."""
