"""Classification of points of the plane by networks as discretised flows.

After Benning, Celledoni, Ehrhardt, Owren & Schönlieb 2019, *Deep learning as optimal control
problems*: the same field σ(Ky + b) by different methods and rules for the steps.
"""
