"""The page of a sweep or a search: which setting is best, what each axis does, and what nothing betters."""
