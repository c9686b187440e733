"""`pnp-ct --slices`: a stack slice by slice, out of core.

`options` are its flags; `probe` finds what all slices share on a few of them; `worker` computes a
slab in whatever process; `session` puts them together with `pnp_recon.volumes`.
"""
