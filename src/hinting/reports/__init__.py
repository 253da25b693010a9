"""Results for people: tables, pictures, files."""
