// Python objects to items and back, with the lock held. Only what the limited API offers.
#pragma once

#include <nanobind/nanobind.h>

#include "esker/objects/item.h"

namespace esker::bind {

// Python functions for what C++ does not know: `plain` gives the plain form of an unusual key, `dump` and
// `load` pickle one object.
struct Callbacks {
  nanobind::object plain;
  nanobind::object dump;
  nanobind::object load;
};

// A key in both forms, valid until the next one is encoded.
struct EncodedKey {
  objects::Bytes canonical;
  objects::Bytes original;
};

class ObjectCodec {
 public:
  explicit ObjectCodec(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  // Adds the object to `out`: texts, numbers, bytes, tuples of them, lists and dicts of those; others
  // pickled.
  void encode(PyObject* object, objects::Buffer& out) const;
  EncodedKey encode_key(PyObject* key);
  objects::Bytes canonical(PyObject* key);
  // From stored bytes: without a Python object where they are in canonical form already.
  EncodedKey encode_key(objects::Bytes original);
  // A new reference.
  nanobind::object decode(objects::Reader& reader) const;
  nanobind::object decode(objects::Bytes item) const;

  const Callbacks& callbacks() const { return callbacks_; }

 private:
  void put_canonical(PyObject* key, int depth);

  Callbacks callbacks_;
  objects::Buffer canonical_;
  objects::Buffer original_;
};

// Calls `function(left, right)`; throws what it raises.
nanobind::object call(const nanobind::object& function, PyObject* left, PyObject* right);
nanobind::object call(const nanobind::object& function, PyObject* argument);

// Bytes of a Python buffer, held as long as this lives.
class BorrowedBytes {
 public:
  explicit BorrowedBytes(nanobind::handle buffer) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nanobind::python_error();
  }
  BorrowedBytes(const BorrowedBytes&) = delete;
  BorrowedBytes& operator=(const BorrowedBytes&) = delete;
  ~BorrowedBytes() { PyBuffer_Release(&view_); }
  objects::Bytes bytes() const {
    return {static_cast<const std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

}  // namespace esker::bind
