"""What happens before everything else is imported."""
