"""Libraries that may be missing where the tests run, and errors that go back to that."""

from __future__ import annotations

from importlib.machinery import PathFinder

# As they are imported. Any other module that is not found is a mistake.
OPTIONAL = {
    *("astra", "deepinv", "foolbox", "imagecodecs", "jpeglib", "jsonschema", "matplotlib"),
    *("nodepy", "odl", "onnx", "pydicom", "pywt", "skimage", "sklearn", "torchvision", "yaml"),
}


def absent(error: BaseException | None) -> str | None:
    """The library that an error goes back to, if it is one of these and not installed here.

    A test that hides a library which is installed is none of this.
    """
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            name = error.name.partition(".")[0]
            if name in OPTIONAL and PathFinder.find_spec(name) is None:
                return name
        error = error.__cause__ or error.__context__
    return None
