// Iterating: what the interpreter calls itself, without the way through a method, and Ctrl-C on the way.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <exception>

#include "bind.h"
#include "esker/error.h"

namespace esker::bind {

// A new reference that `make` gives; where it throws, null and Python's error: the interpreter knows no
// other.
template <class Make>
PyObject* made_or_raised(Make make) noexcept {
  try {
    return make();
  } catch (nanobind::python_error& error) {
    error.restore();
  } catch (const ObjectsCorrupt& error) {
    raise_corrupt(error);
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

// Looks for Ctrl-C once in so many steps, where an iterator runs no Python code that would look.
inline void look_for_signals(std::uint64_t step) {
  constexpr std::uint64_t kEvery = 1 << 14;
  if (step % kEvery == kEvery - 1 && PyErr_CheckSignals() != 0) throw nanobind::python_error();
}

inline PyObject* same_object(PyObject* self) noexcept {
  Py_INCREF(self);
  return self;
}

// `Reader::next` gives a new reference, or null at the end.
template <class Reader>
PyObject* next_of(PyObject* self) noexcept {
  return made_or_raised([self] { return nanobind::inst_ptr<Reader>(nanobind::handle(self))->next(); });
}

template <class Reader>
inline PyType_Slot iterator_slots[3] = {{Py_tp_iter, reinterpret_cast<void*>(same_object)},
                                        {Py_tp_iternext, reinterpret_cast<void*>(next_of<Reader>)},
                                        {0, nullptr}};

}  // namespace esker::bind
