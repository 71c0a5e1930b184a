"""The policy: what of that which scanners say blocks, and for which reasons it may be let pass."""
