// A list, filled without a call for each item.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>
#include <vector>

namespace esker::bind {

class ListMaker {
 public:
  void add(nanobind::object item) { items_.push_back(std::move(item)); }
  void add(nanobind::object left, nanobind::object right) {
    nanobind::object pair = nanobind::steal(PyTuple_New(2));
    if (!pair.is_valid()) throw nanobind::python_error();
    PyTuple_SetItem(pair.ptr(), 0, left.release().ptr());
    PyTuple_SetItem(pair.ptr(), 1, right.release().ptr());
    add(std::move(pair));
  }
  nanobind::object list() {
    nanobind::object list = nanobind::steal(PyList_New(static_cast<Py_ssize_t>(items_.size())));
    if (!list.is_valid()) throw nanobind::python_error();
    for (std::size_t i = 0; i < items_.size(); ++i) {
      PyList_SetItem(list.ptr(), static_cast<Py_ssize_t>(i), items_[i].release().ptr());
    }
    return list;
  }

 private:
  std::vector<nanobind::object> items_;
};

}  // namespace esker::bind
