"""A content-addressed store of container images, deduplicated by digest, over pluggable drivers."""
