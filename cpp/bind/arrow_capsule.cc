#include "arrow_capsule.h"

#include <memory>

namespace nb = nanobind;

namespace esker::bind {
namespace {

constexpr const char* kSchema = "arrow_schema";
constexpr const char* kArray = "arrow_array";
constexpr const char* kStream = "arrow_array_stream";

template <class Struct>
const Struct* borrow(nb::handle capsule, const char* name) {
  void* pointer = PyCapsule_GetPointer(capsule.ptr(), name);
  if (pointer == nullptr) throw nb::python_error();
  const auto* found = static_cast<const Struct*>(pointer);
  if (found->release == nullptr) throw nb::value_error("an Arrow capsule was used before");
  return found;
}

template <class Struct>
void destroy(PyObject* capsule) noexcept {
  auto* held = static_cast<Struct*>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)));
  if (held == nullptr) return;
  if (held->release != nullptr) held->release(held);
  delete held;
}

template <class Struct>
nb::capsule hand_over(Struct held, const char* name) {
  auto owned = std::make_unique<Struct>(held);
  PyObject* capsule = PyCapsule_New(owned.get(), name, &destroy<Struct>);
  if (capsule == nullptr) {
    held.release(&held);
    throw nb::python_error();
  }
  owned.release();
  return nb::steal<nb::capsule>(capsule);
}

nb::object ask(nb::handle source, const char* method, const char* what) {
  if (!nb::hasattr(source, method)) throw nb::type_error(what);
  return source.attr(method)();
}

}  // namespace

BorrowedSchema::BorrowedSchema(nb::handle source)
    : capsule(ask(source, "__arrow_c_schema__", "a schema needs __arrow_c_schema__")),
      schema(borrow<ArrowSchema>(capsule, kSchema)) {}

BorrowedBatch::BorrowedBatch(nb::handle source) {
  const auto pair = nb::cast<nb::tuple>(ask(source, "__arrow_c_array__", "a batch needs __arrow_c_array__"));
  if (pair.size() != 2) throw nb::type_error("__arrow_c_array__ gives a schema and an array");
  schema_capsule = pair[0];
  array_capsule = pair[1];
  schema = borrow<ArrowSchema>(schema_capsule, kSchema);
  array = borrow<ArrowArray>(array_capsule, kArray);
}

nb::capsule schema_capsule(ArrowSchema schema) {
  return hand_over(schema, kSchema);
}

nb::capsule array_capsule(ArrowArray array) {
  return hand_over(array, kArray);
}

nb::capsule stream_capsule(ArrowArrayStream stream) {
  return hand_over(stream, kStream);
}

}  // namespace esker::bind
