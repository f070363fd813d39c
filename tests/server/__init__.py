"""The server's own parts, and the HTTP server as a whole in this process, over real sockets."""
