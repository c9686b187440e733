"""Pictures on disk: BSDS500 or any folder, what each may be used for, and reading them."""
