"""Logins of people whom somebody else knows: an OpenID provider, or an LDAP directory.

flows       one login under way: what binds it to the browser that began it
outgoing    requests to the provider, and to nobody else
provider    OpenID Connect: the code, the ID token, who that is
routes      where a browser is sent off, and where it comes back
directory   LDAP: whose name and password that is
"""
