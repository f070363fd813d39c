"""The management API: what the pages and commands do, for programs.

Handlers parse, call one service, and answer; who may call them is declared with each route.
"""
