#include "bind.h"
#include "esker/error.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

// Set once at import by esker.kernel, so that the extension needs no import of its own (and the stub can be
// made).
struct ErrorTypes {
  PyObject* page_corrupt = PyExc_ValueError;
  PyObject* bitmap_corrupt = PyExc_ValueError;
  PyObject* unsupported_type = PyExc_TypeError;
  PyObject* invalid_input = PyExc_ValueError;
  PyObject* objects_corrupt = PyExc_ValueError;
};

ErrorTypes& error_types() {
  static ErrorTypes types;
  return types;
}

}  // namespace

void raise_corrupt(const ObjectsCorrupt& error) {
  PyErr_SetString(error_types().objects_corrupt, error.what());
}

void bind_errors(nb::module_& module) {
  module.def("set_error_types", [](nb::handle page, nb::handle bitmap, nb::handle unsupported,
                                   nb::handle input, nb::handle objects) {
    // The classes live as long as the interpreter: the references are never given back.
    error_types() = {page.inc_ref().ptr(), bitmap.inc_ref().ptr(), unsupported.inc_ref().ptr(),
                     input.inc_ref().ptr(), objects.inc_ref().ptr()};
  });
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const PageCorrupt& error) {
      PyErr_SetString(error_types().page_corrupt, error.what());
    } catch (const BitmapCorrupt& error) {
      PyErr_SetString(error_types().bitmap_corrupt, error.what());
    } catch (const UnsupportedType& error) {
      PyErr_SetString(error_types().unsupported_type, error.what());
    } catch (const ObjectsCorrupt& error) {
      raise_corrupt(error);
    } catch (const InvalidInput& error) {
      PyErr_SetString(error_types().invalid_input, error.what());
    }
  });
}

}  // namespace esker::bind
