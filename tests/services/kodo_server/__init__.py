"""A stand-in for Qiniu Kodo, for the tests only: no code of Qiniu's, and nothing that lasts.

It speaks the protocol of the documentation at <https://developer.qiniu.com/kodo> as the SDK uses
it, and is as strict: every signature and token is checked, parts have their limits, uploads expire.

signatures  who may do what: upload tokens, signed management requests, download URLs
space       buckets, objects and uploads, their bytes in files
faults      failures on the wire, as a test asks for them
services    the requests: uc, up, rs, rsf, and the download domains
__main__    the program

Its regions are `z0` and `z1`, a port each; every bucket has a download domain, a port too.  Tests
steer it through `/__control/`, which Kodo does not have.
"""
