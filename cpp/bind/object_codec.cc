#include "object_codec.h"

#include <cmath>
#include <string>

#include "esker/error.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using objects::Buffer;
using objects::Bytes;
using objects::Item;
using objects::kDepthMax;

// The plain form of every NaN: the tuple ("\0nan",), as in keys.py.
constexpr std::uint8_t kNan[] = {objects::kTuple, 1, 4, 0, 'n', 'a', 'n'};

Bytes view_of(const char* data, Py_ssize_t size) {
  return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

Bytes view_of_bytes(PyObject* bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes, &data, &size) != 0) throw nb::python_error();
  return view_of(data, size);
}

void put_sized(Buffer& out, std::uint8_t tag, Bytes bytes) {
  out.put(tag);
  out.put_length(bytes.size());
  out.put(bytes.data(), bytes.size());
}

void put_text(Buffer& out, PyObject* text) {
#ifndef Py_LIMITED_API
  if (PyUnicode_IS_COMPACT_ASCII(text)) {
    return objects::put_text(
        out, view_of(static_cast<const char*>(PyUnicode_DATA(text)), PyUnicode_GET_LENGTH(text)));
  }
#endif
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 != nullptr) {
    objects::put_text(out, view_of(utf8, size));
    return;
  }
  if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw nb::python_error();
  PyErr_Clear();
  const nb::object bytes = nb::steal(PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass"));
  if (!bytes.is_valid()) throw nb::python_error();
  put_sized(out, objects::kSurrogates, view_of_bytes(bytes.ptr()));
}

void put_integer(Buffer& out, PyObject* number) {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow == 0) {
    if (value == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    objects::put_integer(out, value);
    return;
  }
  const nb::object shown = nb::steal(PyNumber_ToBase(number, 16));
  if (!shown.is_valid()) throw nb::python_error();
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(shown.ptr(), &size);
  if (text == nullptr) throw nb::python_error();
  std::string digits(text, static_cast<std::size_t>(size));
  digits.erase(digits.find("0x"), 2);
  put_sized(out, objects::kBigInteger, view_of(digits.data(), static_cast<Py_ssize_t>(digits.size())));
}

void put_float(Buffer& out, PyObject* number) {
  const double value = PyFloat_AsDouble(number);
  out.put(objects::kFloat);
  out.put(&value, sizeof(value));
}

// Numbers, texts and bytes of exactly Python's own types; false for others.
bool put_atom(Buffer& out, PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) {
    put_text(out, object);
  } else if (type == &PyLong_Type) {
    put_integer(out, object);
  } else if (type == &PyFloat_Type) {
    put_float(out, object);
  } else if (object == Py_None) {
    out.put(objects::kNone);
  } else if (type == &PyBool_Type) {
    out.put(object == Py_True ? objects::kTrue : objects::kFalse);
  } else if (type == &PyBytes_Type) {
    put_sized(out, objects::kBytes, view_of_bytes(object));
  } else {
    return false;
  }
  return true;
}

// Atoms and tuples of them; false, with some bytes put, for others.
bool put_plain(Buffer& out, PyObject* object, int depth) {
  if (put_atom(out, object)) return true;
  if (Py_TYPE(object) != &PyTuple_Type || depth == kDepthMax) return false;
  const Py_ssize_t size = PyTuple_Size(object);
  out.put(objects::kTuple);
  out.put_length(static_cast<std::uint64_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (!put_plain(out, PyTuple_GetItem(object, i), depth + 1)) return false;
  }
  return true;
}

// Lists and dicts of what is plain. One inside another is pickled: it might be there twice, and must stay
// one.
bool put_container(Buffer& out, PyObject* object) {
  if (Py_TYPE(object) == &PyList_Type) {
    const Py_ssize_t size = PyList_Size(object);
    out.put(objects::kList);
    out.put_length(static_cast<std::uint64_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) {
      if (!put_plain(out, PyList_GetItem(object, i), 1)) return false;
    }
    return true;
  }
  if (Py_TYPE(object) != &PyDict_Type) return false;
  out.put(objects::kDict);
  out.put_length(static_cast<std::uint64_t>(PyDict_Size(object)));
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(object, &at, &key, &value) != 0;) {
    if (!put_plain(out, key, 1) || !put_plain(out, value, 1)) return false;
  }
  return true;
}

void put_pickled(Buffer& out, PyObject* object, const nb::object& dump) {
  const nb::object pickled = call(dump, object);
  put_sized(out, objects::kPickled, view_of_bytes(pickled.ptr()));
}

void put_canonical_float(Buffer& out, PyObject* key) {
  const double value = PyFloat_AsDouble(key);
  if (std::isnan(value)) {
    out.put(kNan, sizeof(kNan));
  } else if (std::isinf(value) || value != std::floor(value)) {
    put_float(out, key);
  } else {
    const nb::object whole = nb::steal(PyLong_FromDouble(value));
    if (!whole.is_valid()) throw nb::python_error();
    put_integer(out, whole.ptr());
  }
}

nb::object checked(PyObject* made) {
  if (made == nullptr) throw nb::python_error();
  return nb::steal(made);
}

nb::object decode_integer(Bytes digits) {
  const std::string text(reinterpret_cast<const char*>(digits.data()), digits.size());
  return checked(PyLong_FromString(text.c_str(), nullptr, 16));
}

nb::object decode_next(objects::Reader& reader, const Callbacks& callbacks, int depth);

nb::object decode_sequence(const Item& item, objects::Reader& reader, const Callbacks& callbacks, int depth) {
  const auto size = static_cast<Py_ssize_t>(item.length);
  const bool is_tuple = item.tag == objects::kTuple;
  nb::object made = checked(is_tuple ? PyTuple_New(size) : PyList_New(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* part = decode_next(reader, callbacks, depth + 1).release().ptr();
    if (is_tuple) {
      PyTuple_SetItem(made.ptr(), i, part);
    } else {
      PyList_SetItem(made.ptr(), i, part);
    }
  }
  return made;
}

nb::object decode_dict(const Item& item, objects::Reader& reader, const Callbacks& callbacks, int depth) {
  nb::object made = checked(PyDict_New());
  for (std::uint64_t i = 0; i < item.length; ++i) {
    const nb::object key = decode_next(reader, callbacks, depth + 1);
    const nb::object value = decode_next(reader, callbacks, depth + 1);
    if (PyDict_SetItem(made.ptr(), key.ptr(), value.ptr()) != 0) throw nb::python_error();
  }
  return made;
}

nb::object decode_next(objects::Reader& reader, const Callbacks& callbacks, int depth) {
  Bytes short_text;
  if (reader.next_short_text(short_text)) {
    return checked(PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(short_text.data()),
                                        static_cast<Py_ssize_t>(short_text.size()), nullptr));
  }
  const Item item = reader.next();
  const auto* text = reinterpret_cast<const char*>(item.bytes.data());
  const auto size = static_cast<Py_ssize_t>(item.bytes.size());
  switch (item.tag) {
    case objects::kText:
      return checked(PyUnicode_DecodeUTF8(text, size, nullptr));
    case objects::kInteger64:
      return checked(PyLong_FromLongLong(item.integer));
    case objects::kFloat:
      return checked(PyFloat_FromDouble(item.real));
    case objects::kNone:
      return nb::none();
    case objects::kTrue:
      return nb::borrow(Py_True);
    case objects::kFalse:
      return nb::borrow(Py_False);
    case objects::kBytes:
      return checked(PyBytes_FromStringAndSize(text, size));
    case objects::kSurrogates:
      return checked(PyUnicode_DecodeUTF8(text, size, "surrogatepass"));
    case objects::kBigInteger:
      return decode_integer(item.bytes);
    case objects::kPickled:
      return call(callbacks.load, checked(PyBytes_FromStringAndSize(text, size)).ptr());
    default:
      if (depth > kDepthMax) throw ObjectsCorrupt("the bytes of stored objects are damaged");
      return item.tag == objects::kDict ? decode_dict(item, reader, callbacks, depth)
                                        : decode_sequence(item, reader, callbacks, depth);
  }
}

}  // namespace

nb::object call(const nb::object& function, PyObject* left, PyObject* right) {
  PyObject* arguments[] = {left, right};
  return checked(PyObject_Vectorcall(function.ptr(), arguments, 2, nullptr));
}

nb::object call(const nb::object& function, PyObject* argument) {
  PyObject* arguments[] = {argument};
  return checked(PyObject_Vectorcall(function.ptr(), arguments, 1, nullptr));
}

void ObjectCodec::encode(PyObject* object, Buffer& out) const {
  const std::size_t before = out.size();
  if (put_plain(out, object, 0)) return;
  out.cut(before);
  if (put_container(out, object)) return;
  out.cut(before);
  put_pickled(out, object, callbacks_.dump);
}

EncodedKey ObjectCodec::encode_key(PyObject* key) {
  canonical_.clear();
  PyTypeObject* type = Py_TYPE(key);
  if (type == &PyUnicode_Type || type == &PyLong_Type || type == &PyBytes_Type || key == Py_None) {
    put_atom(canonical_, key);
    return {canonical_.bytes(), canonical_.bytes()};
  }
  put_canonical(key, 0);
  original_.clear();
  if (!put_plain(original_, key, 0)) {
    original_.clear();
    put_pickled(original_, key, callbacks_.dump);
  }
  return {canonical_.bytes(), original_.bytes()};
}

Bytes ObjectCodec::canonical(PyObject* key) {
  canonical_.clear();
  put_canonical(key, 0);
  return canonical_.bytes();
}

EncodedKey ObjectCodec::encode_key(Bytes original) {
  if (objects::is_canonical(original)) return {original, original};
  const nb::object key = decode(original);
  canonical_.clear();
  put_canonical(key.ptr(), 0);
  return {canonical_.bytes(), original};
}

void ObjectCodec::put_canonical(PyObject* key, int depth) {
  // Deeper than any tuple is stored as such, so that what is read back has no more levels than what was
  // written.
  if (depth == 2 * kDepthMax) throw InvalidInput("a key nests more than 15 tuples or sets in one another");
  PyTypeObject* type = Py_TYPE(key);
  if (type == &PyBool_Type) {
    objects::put_integer(canonical_, key == Py_True ? 1 : 0);
  } else if (type == &PyFloat_Type) {
    put_canonical_float(canonical_, key);
  } else if (type == &PyTuple_Type) {
    const Py_ssize_t size = PyTuple_Size(key);
    canonical_.put(objects::kTuple);
    canonical_.put_length(static_cast<std::uint64_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) put_canonical(PyTuple_GetItem(key, i), depth + 1);
  } else if (!put_atom(canonical_, key)) {
    put_canonical(call(callbacks_.plain, key).ptr(), depth + 1);
  }
}

nb::object ObjectCodec::decode(objects::Reader& reader) const {
  return decode_next(reader, callbacks_, 0);
}

nb::object ObjectCodec::decode(Bytes item) const {
  objects::Reader reader(item);
  return decode(reader);
}

}  // namespace esker::bind
