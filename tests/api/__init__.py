"""A conformance suite for the OCI Distribution Spec 1.1 and what its main branch adds.

One module for each endpoint or topic.  The tests speak to a server in a process of its own, over
HTTP alone; `REGISTRY_UNDER_TEST=http://host:port` runs them against any other registry, leaving out
what needs a server that they configure themselves.
"""
