"""Nothing acknowledged is ever lost: servers killed, servers side by side, disks that are full."""
