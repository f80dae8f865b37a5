"""The only door to the C++ extension."""

from esker import errors
from esker.kernel import _kernel

_kernel.set_error_types(
    errors.PageCorruptError,
    errors.BitmapCorruptError,
    errors.UnsupportedTypeError,
    errors.InputError,
    errors.CorruptError,
)

__all__ = ["_kernel"]
