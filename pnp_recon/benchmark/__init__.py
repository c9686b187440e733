"""The benchmark of denoisers: denoising, reconstruction and stability, side by side.

`cells` says what is measured, `methods` by whom, `suites` how, `runner` does it, `store` keeps it,
`summary` and what stands on it show it. `Method` is what a denoiser of your own derives from.
"""
