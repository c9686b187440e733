"""A ridge reconstruction against a straightforward accelerated proximal gradient of the same energy.

Both minimise ½‖A x − y‖² + λ R_σ(x) for a ridge energy of the package, from the same start, one
after the other in turns, on one thread. The straightforward one is FISTA (Beck & Teboulle 2009) as
one would write it down: the step 1/(‖A‖² + λ μ) of the proven bound, restarted where the momentum
points uphill (O'Donoghue & Candès 2015), with the energy's own `value_and_gradient`, and the box
[0, 1] where it is asked for. Ours is `reconstruct` with the same energy, λ and σ. Each is stopped
when the gradient of the energy (of the box's residual) is at most TOL times what it was at the
start; the table has iterations, seconds and how far the energies and pictures lie apart.

A benchmark, not a test: timings do not belong in tests.

    python benchmarks/ridge_vs_apgd.py [--model ridge_colour] [--size 128] [--rounds 5]
"""
