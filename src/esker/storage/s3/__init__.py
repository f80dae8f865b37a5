"""What tiers of S3's kind share: places, clients, retries, verified uploads, ranges side by side."""
