"""Reports of releases: HTML that stands alone, CSV that is safe in spreadsheets, JSON."""
