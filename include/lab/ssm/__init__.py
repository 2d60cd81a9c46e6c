"""Systems Manager as the lab answers it, one noun a file."""
