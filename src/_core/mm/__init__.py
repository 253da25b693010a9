"""The guest's page allocator: pages < buddy < pcp, watermark, fallback < allocator < boot."""
