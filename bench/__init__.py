"""The benchmark: this server beside Debian's `docker-registry`, same data, same machine.

    python -m bench                              all, some ten minutes, 15 GiB of scratch space
    python -m bench --rows manifest,blob4k --quick
    python -m bench --rehearsal --quick          docker-registry on both sides: shows the noise

`content` makes the data, `servers` starts the servers, `client` and `tools` put load on them,
`processes` reads what they cost; `ratios` are the rows that compare, `limits` what this server must
hold by itself; `report` prints both.
"""
