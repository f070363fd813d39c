"""How the hub speaks HTTP: routes that each declare their policy, and what happens around them."""
